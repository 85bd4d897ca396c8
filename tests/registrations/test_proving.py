"""What an answer to a REGISTER without a Contact proves, and when the next one is asked for."""

import pytest

from registrations import proving
from registrations.proving import Proof
from registrations.values import Outcome, Verdict


def outcome(code: int | None, verdict: Verdict = Verdict.ERROR, asked: bool = False) -> Outcome:
    answer = "" if code is None else f"{code} Said"
    return Outcome(
        verdict, 1.0, 2.0, code=code, answer=answer, sentence="So it was.", with_credentials=asked
    )


@pytest.mark.parametrize(
    ("ended", "proof"),
    [
        (outcome(200, asked=True), Proof.PROVED),
        (outcome(200), Proof.OPEN),
        (outcome(202, Verdict.BOUND, asked=True), Proof.PROVED),
        (outcome(401, Verdict.REFUSED, asked=True), Proof.REFUSED),
        (outcome(401, Verdict.ERROR), Proof.UNCLEAR),
        (outcome(403, Verdict.REFUSED), Proof.REFUSED),
        (outcome(404, Verdict.REFUSED, asked=True), Proof.UNKNOWN_AOR),
        (outcome(604), Proof.UNKNOWN_AOR),
        (outcome(None, Verdict.SILENT), Proof.SILENT),
        (outcome(None, Verdict.UNREACHABLE), Proof.SILENT),
        (outcome(408, Verdict.SILENT), Proof.SILENT),
        (outcome(503, Verdict.BUSY), Proof.UNCLEAR),
        (outcome(500), Proof.UNCLEAR),
        (outcome(302), Proof.UNCLEAR),
        (outcome(400, asked=True), Proof.UNCLEAR),
    ],
)
def test_every_end_of_a_question_has_its_word(ended: Outcome, proof: Proof) -> None:
    finding = proving.read(ended)
    assert finding.proof is proof
    assert finding.reason.endswith(".")


def test_a_registrar_that_takes_no_such_question_is_told_from_one_that_refuses() -> None:
    assert "only asks (405 Said)" in proving.read(outcome(405)).reason


def test_what_refused_is_asked_half_as_often_each_time_down_to_once_a_day() -> None:
    waits = [proving.wait(Proof.REFUSED, n, 1800, lambda: 1.0) for n in range(1, 9)]
    assert waits == [3600, 7200, 14400, 28800, 57600, 86400, 86400, 86400]


@pytest.mark.parametrize("proof", list(Proof))
@pytest.mark.parametrize("every_s", [1.0, 1800.0, 604_800.0])
def test_nobody_is_asked_for_sooner_than_nine_tenths_of_a_round(
    proof: Proof, every_s: float
) -> None:
    longest = max(proving.LONGEST_S, every_s, proving.SOONEST_S)
    for refusals in (0, 1, 7, 10_000):
        for drawn in (0.0, 1.0):
            wait = proving.wait(proof, refusals, every_s, lambda drawn=drawn: drawn)
            assert 0.9 * every_s <= wait <= longest


def test_only_a_proof_counts_as_taken_and_only_an_answer_against_it_as_not_taken() -> None:
    neither = set(Proof) - proving.TAKES - proving.TAKES_NOT
    assert neither == {Proof.OPEN, Proof.UNCLEAR, Proof.STALE, Proof.UNASKED}
