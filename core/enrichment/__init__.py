"""A parsed conversation becomes a v4 document: stages that pipeline runs in order, with scaffolding by key (library),
training_pairs, scores by local rules (quality, emotions, lexicon) and the origin of every field (provenance)."""
