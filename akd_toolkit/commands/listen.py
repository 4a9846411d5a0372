"""``akd listen``: being written."""


def add_parser(commands) -> None:
    commands.add_parser("listen", help="being written")
