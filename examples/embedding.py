"""A scheduler inside an asyncio program: `python examples/embedding.py [STATE_DIR]`.

It triggers the first of three jobs, waits for the last, and prints what happened on the way. A real program would go on
doing its own work inside the `async with`, and the jobs would run when they are due.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import dagsched

JOBS = Path(__file__).with_name("embedding.yaml")


async def greet(context):
    """An async function runs in the program's event loop."""
    text = f"{context['with']['greeting']}, {context['params']['name']}!"
    context.log("about to say", repr(text))
    await asyncio.sleep(0)
    return {"text": text}


def count(context):
    """Any other function runs in a thread of its own."""
    return {"letters": len(context["env"]["TEXT"])}


async def show(scheduler):
    async for event in scheduler.events():
        print(f"{event.type:<14} {event.job}")


async def main(state_dir):
    handlers = {"greet": greet, "count": count}
    async with dagsched.Scheduler(JOBS, state_dir=state_dir, handlers=handlers) as scheduler:
        watching = asyncio.create_task(show(scheduler))
        first = await scheduler.trigger("greet", {"name": "Berlin"})
        # The tick spread to the jobs after it: theirs has the same name but for the job.
        last = await scheduler.wait(first.replace("job:greet:", "job:tell:"), timeout_s=60)
        print(f"tell ended: {last.state}")
        print("letters:", (await scheduler.run(first.replace("job:greet:", "job:count:"))).outputs["letters"])
        watching.cancel()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(main(Path(folder) / "state"))
