"""The training loop on mlx-lm's parts: per-turn masks, every step reported, true resume.

Stock mlx-lm keeps no optimizer state, trains only the last turn or everything, drops the tail of an epoch and
continues after NaN (measured, see docs/decisions/0004-own-training-loop.md). This loop does none of that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.cancel import CancelToken
from core.errors import AppError, Cancelled
from core.models.rendering import Rendered
from core.training.batches import collate, step_plan
from core.training.checkpoints import Checkpoint, Checkpoints
from core.training.config import TrainingConfig
from core.training.lora import set_tensors, trainable

VALIDATION_BATCH = 4


@dataclass
class Progress:
    """What a checkpoint carries beside the tensors; `pending` is the metric of a step that is not validated yet."""

    step: int = 0
    tokens: int = 0
    elapsed_s: float = 0.0
    baseline_loss: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    pending: dict[str, Any] | None = None


@dataclass(frozen=True)
class Result:
    """What a finished run says of itself; losses are None without validation conversations."""

    steps: int
    tokens: int
    elapsed_s: float
    baseline_loss: float | None
    best_loss: float | None
    best_step: int


class Trainer:
    """Trains the adapter of one model with LoRA layers attached. One run a process."""

    def __init__(
        self,
        model: Any,
        config: TrainingConfig,
        train: Sequence[Rendered],
        validation: Sequence[Rendered],
        checkpoints: Checkpoints,
        identity: dict[str, str],
        emit: Callable[..., None],
        token: CancelToken,
        sync: Callable[[], None] = lambda: None,
    ) -> None:
        self.model, self.config = model, config
        self.train_rows, self.validation_rows = train, validation
        self.checkpoints, self.identity = checkpoints, identity
        self.emit, self.token, self.sync = emit, token, sync
        self.total_steps = config.total_steps(len(train))
        self.validate_every = config.validate_every or max(1, self.total_steps // 10)
        self.checkpoint_every = config.checkpoint_every or max(1, self.total_steps // 20)
        self.progress = Progress()
        self._optimizer = self._make_optimizer()
        self._micro, self._apply = self._compile()

    # ---------------------------------------------------------------- one step

    def learning_rate(self, step: int) -> float:
        """The rate of step 1..total: linear warm-up, then the schedule down to a tenth."""
        top, warm = self.config.learning_rate, math.ceil(self.config.warmup_share * self.total_steps)
        if step <= warm:
            return top * step / warm
        if self.config.schedule == "constant":
            return top
        share = (step - warm) / max(1, self.total_steps - warm)
        falling = 0.5 * (1 + math.cos(math.pi * share)) if self.config.schedule == "cosine" else 1 - share
        return top * (0.1 + 0.9 * falling)

    def _make_optimizer(self) -> Any:
        import mlx.optimizers as optim

        optimizer = optim.AdamW(learning_rate=self.config.learning_rate, weight_decay=self.config.weight_decay)
        optimizer.init(self.model.trainable_parameters())
        return optimizer

    def _compile(self) -> tuple[Any, Any]:
        import mlx.core as mx
        import mlx.nn as nn
        import mlx.optimizers as optim

        model, optimizer, clip = self.model, self._optimizer, self.config.grad_clip

        def loss_sum(model: Any, inputs: Any, targets: Any, weights: Any) -> Any:
            logits = model(inputs).astype(mx.float32)
            return (nn.losses.cross_entropy(logits, targets) * weights).sum()

        value_and_grad = nn.value_and_grad(model, loss_sum)

        def micro(inputs: Any, targets: Any, weights: Any) -> Any:
            return value_and_grad(model, inputs, targets, weights)

        def apply(grads: Any, tokens: Any) -> Any:
            from mlx.utils import tree_map

            grads = tree_map(lambda g: g / tokens, grads)
            if clip:
                grads, norm = optim.clip_grad_norm(grads, clip)
            else:
                _, norm = optim.clip_grad_norm(grads, 1e30)
            optimizer.update(model, grads)
            return norm

        # What a compiled function reads it must also give back, or placeholders remain in the model;
        # dropout draws from the random state, which therefore belongs to the first.
        forward, update = [model.state, mx.random.state], [model.state, optimizer.state]
        return (
            mx.compile(micro, inputs=forward, outputs=forward),
            mx.compile(apply, inputs=update, outputs=update),
        )

    def _step(self, number: int, batches: Sequence[Sequence[int]]) -> tuple[float, float, int]:
        import mlx.core as mx
        from mlx.utils import tree_map

        # Reseeded by step: nothing about randomness needs to be saved for a bit-identical resume.
        mx.random.seed((self.config.seed << 32) | number)
        self._optimizer.learning_rate = self.learning_rate(number)
        total, weight, grads = 0.0, 0.0, None
        for indices in batches:
            inputs, targets, weights = (mx.array(part) for part in collate(self.train_rows, indices))
            loss, new = self._micro(inputs, targets, weights)
            grads = new if grads is None else tree_map(lambda a, b: a + b, grads, new)
            mx.eval(loss, grads)
            total += float(loss)
            weight += float(weights.sum())
        norm = self._apply(grads, mx.array(weight))
        mx.eval(self.model.trainable_parameters(), self._optimizer.state, norm)
        return total / weight, norm.item(), int(weight)

    # ---------------------------------------------------------------- validation

    def validate(self) -> float | None:
        """Mean loss per supervised token over all validation conversations; None when there are none."""
        import mlx.core as mx
        import mlx.nn as nn

        if not self.validation_rows:
            return None
        self.model.eval()
        total, weight = 0.0, 0.0
        order = sorted(range(len(self.validation_rows)), key=lambda i: len(self.validation_rows[i].ids))
        for start in range(0, len(order), VALIDATION_BATCH):
            self.token.raise_if_cancelled()
            parts = collate(self.validation_rows, order[start : start + VALIDATION_BATCH])
            inputs, targets, weights = (mx.array(part) for part in parts)
            losses = nn.losses.cross_entropy(self.model(inputs).astype(mx.float32), targets) * weights
            total += float(losses.sum())
            weight += float(weights.sum())
        self.model.train()
        return total / weight

    # ---------------------------------------------------------------- the run

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this very run."""
        from mlx.utils import tree_map_with_path

        adapter, optimizer = checkpoint.arrays()
        set_tensors(self.model, adapter)
        # Leaf by leaf: the state's tree also has branches without tensors, which a file does not keep.
        restored = tree_map_with_path(lambda path, value: optimizer.get(path, value), self._optimizer.state)
        self._optimizer.state.update(restored)
        saved = checkpoint.state
        self.progress = Progress(**{k: saved[k] for k in Progress.__dataclass_fields__ if k in saved})

    def run(self) -> Result:
        """Train to the end. Raises Cancelled (after a checkpoint) and AppError `non_finite_loss`."""
        state = self.progress
        begun = time.monotonic() - state.elapsed_s
        if state.step == 0:
            state.baseline_loss = self.validate()
            self.emit("metric", step=0, epoch=0.0, validation_loss=state.baseline_loss, elapsed_s=0.0)
        plan = step_plan(
            self.train_rows, self.config.batch_size, self.config.gradient_accumulation,
            self.config.seed, self.config.epochs,
        )  # fmt: skip
        if state.pending is not None:
            self._end_step(state.pending, begun)
        for number, epoch, batches in plan:
            if number > self.total_steps:
                break
            if number > state.step:
                self._stop_if_asked()
                self._train_step(number, epoch, batches, begun)
        return Result(state.step, state.tokens, state.elapsed_s, state.baseline_loss, state.best_loss, state.best_step)

    def _train_step(self, number: int, epoch: float, batches: Sequence[Sequence[int]], begun: float) -> None:
        import mlx.core as mx

        state = self.progress
        tick = time.monotonic()
        loss, norm, tokens = self._step(number, batches)
        self._refuse_non_finite(number, loss, norm)
        state.step, state.tokens = number, state.tokens + tokens
        metric = {
            "step": number, "epoch": round(epoch, 4), "train_loss": loss, "learning_rate": self.learning_rate(number),
            "grad_norm": norm, "tokens": state.tokens, "peak_memory": mx.get_peak_memory(),
            "tokens_per_second": tokens / max(1e-9, time.monotonic() - tick),
        }  # fmt: skip
        self._end_step(metric, begun)

    def _end_step(self, metric: dict[str, Any], begun: float) -> None:
        """Validate where it is due, report the step, checkpoint where it is due."""
        state, number = self.progress, int(metric["step"])
        last, validation = number == self.total_steps, None
        if last or number % self.validate_every == 0:
            state.pending, state.elapsed_s = metric, time.monotonic() - begun
            try:
                validation = self._validated(number)
            except Cancelled:
                # The step is done; what is left of it is done first after the resume.
                self.checkpoint()
                raise
            state.pending = None
        state.elapsed_s = time.monotonic() - begun
        self.emit("metric", **metric, validation_loss=validation, elapsed_s=round(state.elapsed_s, 3))
        is_best = validation is not None and state.best_step == number
        if is_best or last or number % self.checkpoint_every == 0:
            self.checkpoint()

    def _validated(self, number: int) -> float | None:
        loss = self.validate()
        if loss is not None and (self.progress.best_loss is None or loss < self.progress.best_loss):
            self.progress.best_loss, self.progress.best_step = loss, number
        return loss

    def checkpoint(self) -> None:
        """Write everything needed to resume; the events so far are on disk before it counts."""
        from mlx.utils import tree_flatten

        self.sync()
        state = {**vars(self.progress), "identity": self.identity}
        self.checkpoints.save(trainable(self.model), dict(tree_flatten(self._optimizer.state)), state)
        self.emit("checkpoint", step=self.progress.step)

    def _stop_if_asked(self) -> None:
        if self.token.cancelled:
            if self.progress.step:
                self.checkpoint()
            raise Cancelled(self.token.reason)

    def _refuse_non_finite(self, number: int, loss: float, norm: float) -> None:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise AppError(
                "non_finite_loss",
                f"Training diverged at step {number}: the loss is no longer a number.",
                hint="Lower the learning rate and start again. The last checkpoint before it is kept.",
                detail=f"loss {loss}, gradient norm {norm}",
            )
