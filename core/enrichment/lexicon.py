"""Word lists of the local rules: English and of no field of work; what a vertical's data says goes before them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from core.scaffolding.verticals import Rule, Vertical, Words

# Words that say an emotion, and phrases that show one without naming it.
EMOTIONS: dict[str, tuple[str, ...]] = {
    "acceptance": ("accept", "accepting", "acceptance", "at peace", "come to terms"),
    "anger": ("angry", "anger", "furious", "mad", "outraged", "resent", "resentful", "fed up", "sick of"),
    "anxiety": ("anxious", "anxiety", "nervous", "uneasy", "on edge", "panicky", "can't relax"),
    "calm": ("calm", "calmer", "peaceful", "relaxed", "breathe", "at ease"),
    "clarity": ("clear", "clearer", "clarity", "makes sense now", "i see", "understand now", "that is clear"),
    "confidence": ("confident", "confidence", "ready", "i can do", "capable", "sure of"),
    "confusion": (
        "confused",
        "confusing",
        "confusion",
        "unclear",
        "puzzled",
        "lost",
        "different plan",
        "something different",
        "don't understand",
        "do not understand",
        "no idea",
        "which one",
        "makes no sense",
        "don't know where",
    ),
    "contempt": ("useless", "pathetic", "ridiculous", "nonsense"),
    "curiosity": ("curious", "wonder", "wondering", "interested", "tell me more", "how does", "what if"),
    "despair": ("hopeless", "despair", "no way out", "give up", "pointless", "too late"),
    "doubt": ("doubt", "unsure", "uncertain", "not sure", "is he right", "is she right", "second-guess", "really work"),
    "embarrassment": ("embarrassed", "embarrassing", "awkward"),
    "empowerment": ("empowered", "in control", "in charge", "my decision", "our decision"),
    "exhaustion": ("tired", "exhausted", "worn out", "drained", "burned out", "can't anymore"),
    "fear": ("afraid", "scared", "fear", "fears", "terrified", "frightened", "frightening", "dread", "scary"),
    "frustration": ("frustrated", "frustrating", "frustration", "annoyed", "stuck", "never moves", "keeps happening"),
    "gratitude": ("thank you", "thanks", "grateful", "appreciate"),
    "grief": ("grief", "grieving", "mourning", "passed away", "died", "funeral", "miss him", "miss her"),
    "guilt": ("guilty", "guilt", "my fault", "i let", "selfish", "should have"),
    "hope": ("hope", "hopeful", "hoping", "looking forward", "maybe we can", "we could", "would sleep"),
    "hostility": ("your fault", "don't trust you", "leave me alone", "shut up"),
    "joy": ("happy", "glad", "delighted", "excited", "joy", "wonderful"),
    "loneliness": ("lonely", "alone", "nobody", "on my own"),
    "overconfidence": ("no-brainer",),
    "overwhelm": ("overwhelmed", "overwhelming", "overwhelm", "too much", "everything at once", "drowning"),
    "panic": ("panic", "panicking", "emergency", "right now", "can't think", "desperate"),
    "pride": ("proud", "pride", "did it", "i managed", "we managed"),
    "relief": ("relief", "relieved", "weight off", "phew", "lighter", "better now"),
    "sadness": ("sad", "sadness", "cry", "crying", "cried", "tears", "heartbroken"),
    "shame": ("ashamed", "shame", "stupid", "foolish", "a fool", "an idiot", "failure", "hide", "hiding", "hid"),
    "trust": ("trust you", "believe you", "i trust"),
    "worry": (
        "worried",
        "worry",
        "worries",
        "worrying",
        "concerned",
        "sleep",
        "awake",
        "what happens if",
        "keep me up",
    ),
}

MACHINE = ("as an ai", "language model", "i cannot assist", "i can't assist", "i am unable to provide")

# What an answer does for better or worse, by the phrases that show it.
PHRASES: dict[str, tuple[str, ...]] = {
    "acknowledge": (
        "makes sense", "understandable", "i hear", "sounds like", "thank you for", "that is hard", "that's hard",
        "i can see", "i understand", "it is normal", "it's normal", "many people", "you are not alone",
        "you're not alone", "no shame", "of course you", "anyone would", "hard to say", "that took", "you have done",
        "i am sorry", "i'm sorry",
    ),
    "dismiss": (
        "calm down", "don't worry", "do not worry", "just relax", "not a big deal", "at least you", "get over it",
        "you're overreacting", "that's silly", "cheer up", "stop worrying",
    ),
    "promise": (
        "guarantee", "guaranteed", "can't go wrong", "cannot go wrong", "always works",
        "never fails", "definitely will", "100 percent", "100%", "i promise",
    ),
    "judge": (
        "you should have", "your fault", "obviously", "how could you", "irresponsible", "you failed", "everyone knows",
        "what were you thinking",
    ),
    "command": ("you must", "you have to", "you need to", "do as i say", "no excuses"),
    "choice": (
        "you decide", "your choice", "it is yours", "up to you", "you choose", "you could", "would you like",
        "if you want", "nothing has to be decided", "when you are ready", "together", "shall we", "which of",
    ),
    "step": (
        "first", "one step", "small step", "next step", "today", "tomorrow", "next week", "this week", "start with",
        "let us", "let's", "one thing",
    ),
}  # fmt: skip

# Skills an answer shows, by the phrases that show them.
SKILLS: dict[str, tuple[str, ...]] = {
    "validation": ("makes sense", "understandable", "of course you", "anyone would", "no shame"),
    "appreciation": ("thank you for", "you have done", "that took", "i appreciate"),
    "normalizing": ("many people", "it is normal", "it's normal", "not alone", "common"),
    "reframing": ("another way", "look at it", "instead of", "think of it", "not a failure", "put differently"),
    "small_steps": ("one step", "small step", "first step", "next step", "start with", "one thing"),
    "client_choice": ("you decide", "your choice", "it is yours", "up to you", "you choose", "has to be decided"),
    "follow_up": ("next week", "look at it together", "check in", "we will look", "come back to"),
}

# Too common to count as the client's own words.
_COMMON = """
    about above after again against almost along also although always another anything around because been before
    being below between both cannot could does doing done down during each either enough even every everyone
    everything from going have having here hers into itself just keep know less like made make makes many maybe more
    most much must need never none nothing often once only other others ours over really same shall should since some
    something still such take than that their them then there these they thing things think this those though through
    today together under until very want wants well were what when where whether which while will with within without
    would your yours yourself
"""
COMMON = frozenset(_COMMON.split())


# By identity, as the verticals they are made of: finders are kept by it.
@dataclass(frozen=True, eq=False)
class Lexicon:
    """The word lists of one vertical; `phrases` has every name of `PHRASES`."""

    emotions: Words
    phrases: Words
    skills: Words
    rules: tuple[Rule, ...]


@lru_cache(maxsize=16)
def lexicon_of(vertical: Vertical) -> Lexicon:
    """The shared lists with those of the vertical: its emotion words are added, its other lists replace the shared."""
    shared = {name: [cue for cue in cues if cue not in vertical.neutral] for name, cues in EMOTIONS.items()}
    names = dict.fromkeys((*shared, *vertical.emotions))
    emotions = {name: (*shared.get(name, ()), *vertical.emotions.get(name, ())) for name in names}
    phrases = {name: vertical.phrases.get(name, words) for name, words in PHRASES.items()}
    return Lexicon(emotions, phrases, vertical.skills or SKILLS, vertical.rules)
