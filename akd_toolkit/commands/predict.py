"""``akd predict``: being written."""


def add_parser(commands) -> None:
    commands.add_parser("predict", help="being written")
