"""Chats and their turns as rows (chats). The window writes a turn when it is asked and when it is answered."""
