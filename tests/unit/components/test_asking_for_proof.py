"""What the server does only after a proof is asked for once, then sent again."""

from __future__ import annotations

import json
import subprocess

from tests.unit.components.browser_modules import MODULES, NODE

_STORY = """
let proved = false;
const sent = [];
globalThis.fetch = async (url, { method }) => {
  sent.push(`${method} ${url}`);
  const body = proved ? { done: url } : { code: "proof_needed", detail: "Confirm that it is you." };
  return { ok: proved, status: proved ? 200 : 403, statusText: "", text: async () => JSON.stringify(body) };
};
const { provideProof, send } = await import(MODULE);
const outcome = (promise) => promise.then((answer) => answer.done, (problem) => problem.code);
let asked = 0;
const answerWith = (yes) => provideProof(async () => { asked += 1; proved = yes; return yes; });

const nobodyToAsk = await outcome(send("POST", "/a"));
answerWith(false);
const declined = await outcome(send("POST", "/b"));
answerWith(true);
const both = await Promise.all([outcome(send("POST", "/c")), outcome(send("POST", "/d"))]);
console.log(JSON.stringify({ nobodyToAsk, declined, both, asked, sent }));
"""


def test_a_request_that_needs_a_proof_is_sent_again_after_one_question() -> None:
    story = _STORY.replace("MODULE", json.dumps((MODULES / "request.js").as_uri()))
    run = subprocess.run(
        [NODE, "--input-type=module", "-e", story], capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == {
        "nobodyToAsk": "proof_needed",
        "declined": "proof_needed",
        "both": ["/c", "/d"],
        "asked": 2,  # the declined one, and one for both
        "sent": [f"POST {path}" for path in ("/a", "/b", "/c", "/d", "/c", "/d")],
    }
