"""``akd release``: being written."""


def add_parser(commands) -> None:
    commands.add_parser("release", help="being written")
