"""A support agent whose tools the program executes: the run waits for it in `requires_action`.

What is not in the server's catalog is the client's. Outputs are accepted as a whole, and once: the very same sent
again, after a lost answer or a crash of this program, has no second effect.

    COUNTERFOIL_URL=http://127.0.0.1:8000/v1 COUNTERFOIL_KEY=cf_… python examples/client_tools.py
"""

import json
import os

from openai import OpenAI

client = OpenAI(base_url=os.environ["COUNTERFOIL_URL"], api_key=os.environ["COUNTERFOIL_KEY"])

# With the model `scripted`, which needs no provider, the user's message is the script of what the model does.
MODEL = os.environ.get("MODEL", "scripted")
SCRIPT = {
    "script": [
        {"tool_calls": [{"name": "find_order", "arguments": {"number": 1207}}]},
        {"tool_calls": [{"name": "ask_colleague", "arguments": {"question": "May we refund order 1207?"}}]},
        {"say": "{{outputs.0}}"},
    ]
}
QUESTION = json.dumps(SCRIPT) if MODEL == "scripted" else "I want my money back for order 1207."


def find_order(number: int) -> dict[str, object]:
    """A read of the shop's own database."""
    return {"number": number, "paid_cents": 4900, "shipped": False}


def ask_colleague(question: str) -> dict[str, object]:
    """A person decides; `expires_in_seconds` below gives them time."""
    return {"question": question, "answer": "Yes, refund it."}


TOOLS = {"find_order": find_order, "ask_colleague": ask_colleague}

assistant = client.beta.assistants.create(
    model=MODEL,
    instructions="You are a support agent. Look the order up, then ask a colleague.",
    tools=[{"type": "function", "function": {"name": name}} for name in TOOLS],
)
run = client.beta.threads.create_and_run_poll(
    assistant_id=assistant.id,
    thread={"messages": [{"role": "user", "content": QUESTION}]},
    extra_body={"expires_in_seconds": 86400},
)
while run.status == "requires_action":
    calls = run.required_action.submit_tool_outputs.tool_calls
    outputs = [
        {
            "tool_call_id": call.id,
            "output": json.dumps(TOOLS[call.function.name](**json.loads(call.function.arguments))),
        }
        for call in calls
    ]
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs
    )

if run.status == "completed":
    newest = client.beta.threads.messages.list(run.thread_id, limit=1).data[0]
    print(newest.content[0].text.value)
else:
    print(run.status, run.last_error)
