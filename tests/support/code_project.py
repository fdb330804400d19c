"""A small project of code in three languages, with what must not be indexed beside it."""

from __future__ import annotations

from pathlib import Path

from core.code_index.spec import ProjectSpec
from core.workspace.paths import Workspace

FILES = {
    "core/refunds/policy.py": '''"""When a refund may be paid."""

from core.settings import LIMIT


def needs_second_approval(refund):
    """Above the limit, or disputed: a second person looks at it."""
    if refund.disputed:
        return True
    return refund.amount > LIMIT


def same_person(a, b):
    return a.id == b.id
''',
    "core/refunds/service.py": '''from core.refunds.policy import needs_second_approval


class RefundService:
    """Takes refunds and queues those that wait for somebody."""

    def __init__(self, queue):
        self.queue = queue

    def submit(self, refund):
        if needs_second_approval(refund):
            self.queue.put(refund)
            return "queued"
        return self.pay(refund)

    def pay(self, refund):
        return "paid"
''',
    "core/settings.py": "LIMIT = 500  # second approval above this\n",
    "web/basket.ts": """export interface Item { price: number; count: number }

/** The sum of all that is in the basket. */
export function basketTotal(items: Item[]): number {
  return items.reduce((sum, item) => sum + item.price * item.count, 0);
}
""",
    "server/main.go": """package main

// Listen answers requests until the context ends.
func Listen(port int) error {
	return nil
}
""",
    "tests/test_policy.py": """from core.refunds.policy import needs_second_approval


def test_disputed_refunds_wait():
    assert needs_second_approval(None)
""",
    "docs/refunds.md": "# Refunds\n\n## Second approval\n\nA refund above the limit is approved by a second person.\n",
    ".gitignore": "*.log\n",
    "debug.log": "needs_second_approval was called\n",
    ".env": "STRIPE_KEY=sk_live_4eC39HqLyjWDarjtT1zdp7dc\n",
    "node_modules/left/pad.js": "function leftPad() {}\n",
}
INDEXED = 8


def write_project(folder: Path) -> Path:
    """The files below `folder`, which is made."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def spec_for(root: Path, workspace: Workspace, embedder: str = "none", ident: str = "shop") -> ProjectSpec:
    """The project as a worker gets it; by words alone unless a model is named."""
    return ProjectSpec(
        ident, "Shop", str(root), str(workspace.projects / ident), str(workspace.embeddings), embedder
    )  # fmt: skip
