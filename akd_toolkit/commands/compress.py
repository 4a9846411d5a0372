"""``akd compress``: being written."""


def add_parser(commands) -> None:
    commands.add_parser("compress", help="being written")
