"""The pages: a new one is a new package `ui/pages/<name>/` and one line here; it is imported when first opened."""

from __future__ import annotations

from dataclasses import dataclass

from core.registry import resolve

GROUPS = ("", "DATA", "TRAIN", "ASSIST", "TOOLS", "foot")


@dataclass(frozen=True)
class PageSpec:
    """One entry of the sidebar.

    `widget` is the dotted path of a `Page` subclass, called with (services, parent). `group` is one of `GROUPS`: "" is
    the top, "foot" the bottom. `badge` is the dotted path of `count(db) -> int`: how many things ask for action.
    `rows` is that of `find(db, text, limit) -> [(id, title, subtitle), ...]`: what the command palette finds by
    name and opens with `navigator.open_page(name, id)`. A page `within` another has no entry of its own: it is opened
    from that one, whose entry stays marked.
    """

    name: str
    title: str
    group: str
    icon: str
    widget: str
    badge: str = ""
    rows: str = ""
    within: str = ""


class PageRegistry:
    """Ordered; pages of one group appear in order of registration."""

    def __init__(self, *specs: PageSpec) -> None:
        self._specs = {spec.name: spec for spec in specs}

    def register(self, spec: PageSpec | str) -> PageSpec:
        """Add a page, or replace the one of that name; also by the dotted path of a `PageSpec`."""
        found: PageSpec = resolve(spec) if isinstance(spec, str) else spec
        self._specs[found.name] = found
        return found

    def unregister(self, name: str) -> None:
        """Remove a page; unknown names are ignored."""
        self._specs.pop(name, None)

    def specs(self) -> list[PageSpec]:
        """In the order of the sidebar, then those without an entry."""
        return sorted(self._specs.values(), key=lambda spec: (bool(spec.within), GROUPS.index(spec.group)))

    def entries(self) -> list[PageSpec]:
        """Those of the sidebar."""
        return [spec for spec in self.specs() if not spec.within]

    def get(self, name: str) -> PageSpec | None:
        """The page of that name."""
        return self._specs.get(name)


PAGES = PageRegistry(
    PageSpec("home", "Home", "", "ph.house", "ui.pages.home.page:HomePage"),
    PageSpec("scaffolding", "Scaffolding", "DATA", "ph.books", "ui.pages.scaffolding.page:ScaffoldingPage",
             rows="ui.pages.scaffolding.find:find"),
    PageSpec("generate", "Generate", "DATA", "ph.sparkle", "ui.pages.generate.page:GeneratePage"),
    PageSpec("conversations", "Conversations", "DATA", "ph.chats-circle",
             "ui.pages.conversations.page:ConversationsPage", rows="ui.pages.conversations.find:find"),
    PageSpec("training_files", "Training files", "DATA", "ph.stack", "ui.pages.training_files.page:TrainingFilesPage",
             rows="ui.pages.training_files.find:find"),
    PageSpec("datasets", "Datasets", "TRAIN", "ph.table", "ui.pages.datasets.page:DatasetsPage",
             rows="ui.pages.datasets.find:find"),
    PageSpec("corrections", "Corrections", "TRAIN", "ph.check-circle", "ui.pages.corrections.page:CorrectionsPage",
             within="datasets"),
    PageSpec("training", "Training", "TRAIN", "ph.chart-line", "ui.pages.training.page:TrainingPage",
             rows="ui.pages.training.find:find"),
    PageSpec("adapters", "Adapters", "TRAIN", "ph.swap", "ui.pages.adapters.page:AdaptersPage",
             rows="ui.pages.adapters.find:find"),
    PageSpec("projects", "Projects", "ASSIST", "ph.folder-open", "ui.pages.projects.page:ProjectsPage",
             rows="ui.pages.projects.find:find"),
    PageSpec("chat", "Chat", "ASSIST", "ph.chat-teardrop-text", "ui.pages.chat.page:ChatPage",
             rows="ui.pages.chat.find:find"),
    PageSpec("settings", "Settings", "foot", "ph.gear-six", "ui.pages.settings.page:SettingsPage"),
)  # fmt: skip
