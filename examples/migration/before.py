"""A program written for the Assistants API; compare before.py and after.py."""

import json
import os

from openai import OpenAI

client = OpenAI(
    base_url="https://api.openai.com/v1",
    api_key=os.environ["OPENAI_API_KEY"],
)

MODEL = os.environ.get("MODEL", "gpt-4o")
QUESTION = os.environ.get("QUESTION", "What is the weather in Basel?")


def get_weather(city: str) -> str:
    """What the program knows of the weather."""
    return f"sunny in {city}"


assistant = client.beta.assistants.create(
    model=MODEL,
    tools=[{"type": "function", "function": {"name": "get_weather"}}],
)
thread = client.beta.threads.create()
client.beta.threads.messages.create(thread.id, role="user", content=QUESTION)
run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
while run.status == "requires_action":
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=thread.id,
        tool_outputs=[
            {"tool_call_id": call.id, "output": get_weather(**json.loads(call.function.arguments))}
            for call in run.required_action.submit_tool_outputs.tool_calls
        ],
    )
print(client.beta.threads.messages.list(thread.id, limit=1).data[0].content[0].text.value)
