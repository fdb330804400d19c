"""A parsed conversation becomes a v4 document: five stages, one module each, that the pipeline runs in order.
What the stages share stands beside them: scaffolding by key, rules and word lists, where each field came from."""
