"""placeholder"""


def retold(text: str) -> str:
    return text
