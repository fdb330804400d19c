"""What several pages call a thing: states, verdicts, settings. Text and pills only, no widgets."""
