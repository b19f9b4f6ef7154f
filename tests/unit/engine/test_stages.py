from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.engine.stages import Stage


@given(
    st.floats(0, 100), st.floats(0, 100), st.none() | st.floats(0, 100),
    st.sampled_from(["a", "b 7", "c", "elsewhere"]), st.lists(st.sampled_from("abc"), unique=True),
)  # fmt: skip
def test_stage_percentage_stays_within_its_share(
    begin: float, width: float, percent: float | None, step: str, parts: list[str]
) -> None:
    stage = Stage("match", begin, begin + width, parts)
    assert begin <= stage.percent(stage.step(step), percent) <= stage.end + 1e-6
    assert stage.percent(stage.step(step), None) <= stage.percent(stage.step(step), percent)
