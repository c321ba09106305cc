"""The one exception that this project raises for things a user can put right."""


class UnmixError(Exception):
    """Something in the input, the settings or the files is wrong; the message says what to do."""
