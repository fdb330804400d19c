"""The product without Qt: one package a capability."""
