"""A support agent whose tools the server executes: the program only asks, and reads the answer.

`create_ticket` is in the server's catalog (counterfoil.toml), so the server calls it, keeps the ledger of it, and
settles what is unknown after a crash. The program needs no loop of its own.

    COUNTERFOIL_URL=http://127.0.0.1:8000/v1 COUNTERFOIL_KEY=cf_… python examples/server_tools.py
"""

import json
import os

from openai import OpenAI

client = OpenAI(base_url=os.environ["COUNTERFOIL_URL"], api_key=os.environ["COUNTERFOIL_KEY"])

# With the model `scripted`, which needs no provider, the user's message is the script of what the model does.
MODEL = os.environ.get("MODEL", "scripted")
SCRIPT = {
    "script": [
        {"tool_calls": [{"name": "create_ticket", "arguments": {"title": "The printer is on fire"}}]},
        {"say": "I have opened a ticket: {{outputs.0}}"},
    ]
}
QUESTION = json.dumps(SCRIPT) if MODEL == "scripted" else "The printer is on fire. Please open a ticket."

assistant = client.beta.assistants.create(
    model=MODEL,
    instructions="You are a support agent. Open a ticket for what the user reports.",
    tools=[{"type": "function", "function": {"name": "create_ticket"}}],  # offered because it is named here
)
thread = client.beta.threads.create(messages=[{"role": "user", "content": QUESTION}])
run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)

if run.status == "completed":
    newest = client.beta.threads.messages.list(thread.id, limit=1).data[0]
    print(newest.content[0].text.value)
else:
    print(run.status, run.last_error)
