"""The dialog that scores a conversation by hand, beside the computed scores."""

from __future__ import annotations

from core.conversations import review
from core.conversations.store import Conversation
from ui import format as fmt
from ui.dialogs.writing import WritingDialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import Form, choice
from ui.widgets.page import Page

CRITERIA_WORDS = {
    "empathy_score": "Empathy", "clarity_score": "Clarity", "brand_voice_alignment": "Voice",
    "appropriateness_score": "Appropriateness",
}  # fmt: skip
STEPS = tuple(half / 2 for half in range(2, 11))


class RateDialog(WritingDialog):
    """Saves the scores by hand; all “Not rated” takes them away."""

    def __init__(self, page: Page, found: Conversation) -> None:
        super().__init__(page, page.services, "Rate")
        self.setObjectName("rate_dialog")
        self._found = found
        self.body.addWidget(label(found.title, "section", wrap=True))
        hint = "Scores by hand are used instead of the computed ones in the list and its filters."
        self.body.addWidget(label(hint, "muted", wrap=True))
        self.body.addWidget(self.banners)
        self.form = Form()
        options = [("Not rated", 0.0), *((fmt.decimal(step, 1), step) for step in STEPS)]
        for name, words in CRITERIA_WORDS.items():
            computed = found.quality_criteria.get(name)
            told = f"Computed: {fmt.decimal(computed, 1)}" if isinstance(computed, int | float) else "Not computed"
            self.form.add(name, words, choice(options, found.human_criteria.get(name, 0.0)), told)
        self.body.addWidget(self.form)
        self.set_buttons(Button("Save", "main", "ph.check", on_click=self._save, name="save_rating"))
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)

    def _save(self) -> None:
        scores = {name: float(value) for name, value in self.form.values().items() if value}
        services, ident, before = self.services, self._found.id, dict(self._found.human_criteria)

        def done(_nothing: object) -> None:
            services.notifier.say(
                "Rating saved", lambda: services.write(services.root, lambda db: review.rate(db, ident, before))
            )
            self.accept()

        self.write(lambda db: review.rate(db, ident, scores), done)
