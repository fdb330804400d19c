"""Base models: checked and added (work, folder, fingerprint, store), practice model, chats as tokens (rendering).
A folder of weights goes in; datasets, training and inference read row, tokenizer and weights."""
