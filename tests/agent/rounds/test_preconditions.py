"""Steps that are not for this node."""

from __future__ import annotations

from tests.agent.converging import Node, body, file, outcomes, reasons, step


def test_a_precondition_keeps_a_step_away_and_stops_nothing(node: Node) -> None:
    held = body(
        file("win", precondition={"StringEquals": ["platformType", "Windows"]}),
        file("lin", precondition={"StringEquals": ["platformType", "Linux"]}),
        file("never", precondition={"StringLike": ["a", "b"]}),
        step("x:unknown", {}, name="unknown", precondition={"StringEquals": ["a", "b"]}),
    )
    result = node.converge(held)
    assert outcomes(result) == {
        "path:/etc/win": "Skipped",
        "path:/etc/lin": "Changed",
        "path:/etc/never": "Skipped",
        "script:unknown": "Skipped",
    }
    assert reasons(result)["path:/etc/win"] == "its precondition is not met: platformType is Linux, not Windows"
    assert result.status == "Success"
    lower = file("lower", precondition={"StringEquals": ["linux", "platformType"]})
    assert outcomes(node.converge(body(lower))) == {"path:/etc/lower": "Changed"}
    text = file("text", precondition={"StringEquals": ["linux", "Linux"]})
    assert outcomes(node.converge(body(text))) == {"path:/etc/text": "Skipped"}
    assert node.converge(body(file("w", precondition={"StringEquals": ["platformType", "x"]}))).status == "Skipped"
