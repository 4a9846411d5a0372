"""``akd export``: being written."""


def add_parser(commands) -> None:
    commands.add_parser("export", help="being written")
