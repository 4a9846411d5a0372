"""``akd bench``: being written."""


def add_parser(commands) -> None:
    commands.add_parser("bench", help="being written")
