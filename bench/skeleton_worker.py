"""`python -m bench.skeleton_worker ADDRESS NAMESPACE`: works on skeletons, as the product works, until SIGTERM."""

import asyncio
import os
import signal
import sys

from temporalio.client import Client
from temporalio.worker import Worker

import wire
from bench.skeleton import QUEUE, Skeleton


async def work(address: str, namespace: str) -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(
        address, namespace=namespace, runtime=wire.quiet_runtime(), identity=f"skeleton:{os.getpid()}"
    )
    async with Worker(client, task_queue=QUEUE, workflows=[Skeleton], workflow_runner=wire.ProvedRunner()):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # the Temporal library sometimes crashes an interpreter that exits normally
