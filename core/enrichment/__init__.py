"""The five enrichment stages, one module each, and the pipeline that runs them."""
