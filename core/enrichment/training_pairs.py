"""Training pairs: a user turn with the answer that follows it, and the metadata of the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.enrichment import quality, scaffold
from core.enrichment.emotions import beat_at, finder
from core.enrichment.lexicon import Lexicon
from core.enrichment.normal_form import clean, slug
from core.enrichment.provenance import FILE, NULL, RULE, SCAFFOLDING, SETTING, origin
from core.enrichment.quality import CRITERIA, Reading, Score
from core.enrichment.scaffold import Cast, Sourced
from core.errors import AppError, Where

# Said so often in kindness or agreement that they name no feeling of the client's.
_POLITE = frozenset(
    ("gratitude", "clarity", "curiosity", "trust", "confidence", "acceptance", "calm", "overconfidence")
)
_EVERY = "training_pairs[]."
MAX_REPEATED = 500_000_000


@dataclass(frozen=True)
class Exchange:
    """A user turn, its answer if there is one, and all turns before."""

    user: str
    answer: str | None
    history: list[dict[str, str]]
    emotional_context: Mapping[str, Any] | None


@dataclass(frozen=True)
class Frame:
    """What all pairs of a conversation share."""

    conversation: Mapping[str, Any]
    cast: Cast
    metadata: Mapping[str, Sourced]
    system_prompt: str
    prompt_is_set: bool
    voice: frozenset[str]
    words: Lexicon


@dataclass
class Built:
    """The pairs, the origins of their fields, and the scores of those that have an answer."""

    pairs: list[dict[str, Any]]
    sources: dict[str, dict[str, str]]
    scores: list[dict[str, Score]]


def exchanges(turns: list[Mapping[str, Any]]) -> list[Exchange]:
    """The turns as exchanges; a missing answer is None, and "" in the history of later ones.

    Raises AppError `too_long` where the histories, which each pair repeats, would fill the memory.
    """
    said_so_far = repeated = 0
    out = []
    history: list[dict[str, str]] = []
    for index, turn in enumerate(turns):
        if turn["role"] == "user":
            after = turns[index + 1] if index + 1 < len(turns) else {}
            answer = after.get("content")
            context = turn.get("emotional_context")
            out.append(
                Exchange(
                    user=turn["content"],
                    answer=answer if isinstance(answer, str) and clean(answer) else None,
                    history=list(history),
                    emotional_context=context if isinstance(context, Mapping) else None,
                )
            )
        history.append({"role": turn["role"], "content": turn["content"] or ""})
        repeated += said_so_far
        said_so_far += len(turn["content"] or "")
    if repeated > MAX_REPEATED:
        raise AppError(
            "too_long",
            f"The conversation is too long: {len(turns):,} turns with {said_so_far:,} characters.",
            hint="Split it into several conversations.",
            where=Where(field="turns"),
        )
    return out


def build(found: list[Exchange], frame: Frame) -> Built:
    """All pairs of a conversation."""
    built = Built([], _shared_sources(frame), [])
    for number, exchange in enumerate(found, 1):
        _pair(built, exchange, frame, number, len(found))
    return built


def _pair(built: Built, exchange: Exchange, frame: Frame, number: int, total: int) -> None:
    row, own = frame.conversation, f"training_pairs[{number - 1}]."
    client = quality.read(exchange.user)
    emotions = finder(frame.cast.beats, frame.words).find(client.tokens, client.folded)
    answer = quality.read(exchange.answer) if exchange.answer is not None else None
    context, built.sources[own + "emotional_context"] = _emotional_context(exchange, emotions)
    meta = own + "training_metadata."
    target, built.sources[meta + "emotional_progression_target"] = _beat(frame.cast, number, total)
    skills, built.sources[meta + "demonstrates_skills"] = _skills(frame, answer)
    score, criteria = _grade(built, exchange, frame, client, answer, own)
    shared = frame.metadata
    built.pairs.append(
        {
            "id": f"{slug(shared['conversation_phase'][0]) or shared['training_topic_key'][0]}_turn{number}",
            "conversation_id": row["conversation_id"],
            "turn_number": number,
            "conversation_metadata": {name: value for name, (value, _) in shared.items()},
            "system_prompt": frame.system_prompt,
            "conversation_history": exchange.history,
            "current_user_input": exchange.user,
            "emotional_context": context,
            "target_response": exchange.answer,
            "training_metadata": {
                "difficulty_level": scaffold.difficulty(frame.cast)[0],
                "key_learning_objective": scaffold.objective(frame.cast)[0],
                "demonstrates_skills": skills,
                "conversation_turn": number,
                "emotional_progression_target": target,
                "quality_score": score,
                "quality_criteria": criteria,
                "human_reviewed": bool(row["human_reviewed"]),
                "reviewer_notes": row["reviewer_notes"],
                "use_as_seed_example": False,
                "generate_variations_count": 0,
            },
        }
    )


def _grade(
    built: Built, exchange: Exchange, frame: Frame, client: Reading, answer: Reading | None, own: str
) -> tuple[float | None, dict[str, float | None]]:
    """Score and criteria of a pair, all null where there is no answer."""
    meta = own + "training_metadata."
    if answer is None or exchange.answer is None:
        built.sources[own + "target_response"] = origin(NULL, "The file has no answer to this turn")
        for name in ("quality_score", "quality_criteria"):
            built.sources[meta + name] = origin(NULL, "There is no answer to score")
        return None, dict.fromkeys(CRITERIA)
    detector = finder(frame.cast.beats, frame.words)
    shown = detector.find(client.tokens, client.folded)
    named = detector.find(answer.tokens, answer.folded)
    feelings = {name: cue for name, cue in named.items() if name not in _POLITE or name in shown}
    scores = _score(client, answer, feelings, frame, exchange.answer)
    built.scores.append(scores)
    _score_sources(built.sources, meta, scores)
    criteria: dict[str, float | None] = {name: scores[name].value for name in CRITERIA}
    return quality.overall(found.value for found in scores.values()), criteria


def _shared_sources(frame: Frame) -> dict[str, dict[str, str]]:
    row, meta = frame.conversation, _EVERY + "training_metadata."
    prompt = "The consultant profile's system prompt" if frame.prompt_is_set else "None is set; the minimal one is used"
    out = {_EVERY + f"conversation_metadata.{name}": source for name, (_, source) in frame.metadata.items()}
    return out | {
        _EVERY + "id": origin(RULE, "The conversation's phase and the number of the pair"),
        _EVERY + "conversation_id": origin(RULE, "The conversation's id in this workspace"),
        _EVERY + "turn_number": origin(RULE, "Pairs counted from 1"),
        _EVERY + "system_prompt": origin(SETTING, prompt),
        _EVERY + "conversation_history": origin(FILE, "All earlier turns; a missing answer is empty"),
        _EVERY + "current_user_input": origin(FILE, "The user's turn"),
        _EVERY + "target_response": origin(FILE, "The assistant's turn that follows"),
        meta + "difficulty_level": scaffold.difficulty(frame.cast)[1],
        meta + "key_learning_objective": scaffold.objective(frame.cast)[1],
        meta + "conversation_turn": origin(RULE, "The number of the pair"),
        meta + "human_reviewed": origin(RULE, "The review recorded in this workspace when it was enriched"),
        meta + "reviewer_notes": origin(RULE, "The reviewer's notes in this workspace")
        if row["reviewer_notes"] else origin(NULL, "No reviewer notes"),
        meta + "use_as_seed_example": origin(RULE, "Not marked as a seed example"),
        meta + "generate_variations_count": origin(RULE, "No variations were requested"),
    }  # fmt: skip


def _emotional_context(exchange: Exchange, emotions: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    if exchange.emotional_context:
        return dict(exchange.emotional_context), origin(FILE, "emotional_context of the user's turn")
    if not emotions:
        reason = "The turn has no word from the emotion list or the arc; nothing is guessed"
        return {"detected_emotions": []}, origin(RULE, reason)
    seen = ", ".join(f"{name} (“{cue}”)" for name, cue in emotions.items())
    return {"detected_emotions": list(emotions)}, origin(RULE, f"Words in the user's turn: {seen}")


def _beat(cast: Cast, number: int, total: int) -> tuple[str, dict[str, str]]:
    if not cast.beats:
        return "", origin(NULL, "The arc names neither beats nor emotions")
    index = beat_at(cast.beats, number, total)
    reason = f"Beat {index + 1} of {len(cast.beats)} of the arc at turn {number} of {total}"
    return cast.beats[index], origin(RULE, reason)


def _skills(frame: Frame, answer: Reading | None) -> tuple[list[str], dict[str, str]]:
    stated = [str(skill) for skill in frame.cast.topic.skills if str(skill).strip()]
    shown = {name: answer.hits(cues) for name, cues in frame.words.skills.items()} if answer else {}
    seen = {name: hits[0] for name, hits in shown.items() if hits and name not in stated}
    if not seen:
        return stated, origin(SCAFFOLDING, "The topic's skills") if stated else origin(RULE, "None stated, none found")
    added = ", ".join(f"{name} (“{cue}”)" for name, cue in seen.items())
    return stated + list(seen), origin(RULE, f"The topic's skills, plus those found in the answer: {added}")


def _score(client: Reading, answer: Reading, feelings: Mapping[str, str], frame: Frame, raw: str) -> dict[str, Score]:
    return {
        "empathy_score": quality.empathy(client, answer, feelings, frame.words),
        "clarity_score": quality.clarity(answer, frame.words),
        "appropriateness_score": quality.appropriateness(client, answer, frame.words),
        "brand_voice_alignment": quality.brand_voice(answer, frame.voice, raw, frame.words),
    }


def _score_sources(out: dict[str, dict[str, str]], meta: str, scores: Mapping[str, Score]) -> None:
    out[meta + "quality_score"] = origin(RULE, "The mean of the four criteria")
    for name, found in scores.items():
        out[f"{meta}quality_criteria.{name}"] = origin(RULE, f"{found.value:.1f}: {'; '.join(found.reasons)}")
