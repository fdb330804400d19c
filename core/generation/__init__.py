"""Conversations from a model: plan, prompts, providers, money, and the job that runs a plan.

The window and the command line use `plan`, `sampling`, `estimate`, `store` and `models`; a worker runs `work`.
"""
