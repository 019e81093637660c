from __future__ import annotations

from flows.night import lenient
from nada.errors import OutputError


class Heard:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str, style: str = "") -> None:
        self.lines.append(text)


def test_a_lost_mlflow_store_is_told_and_the_night_goes_on() -> None:
    display = Heard()
    with lenient(display):  # type: ignore[arg-type]
        raise OutputError("mlflow: database is locked")
    assert display.lines == ["MLflow: not recorded now, the next night will (mlflow: database is locked)"]
