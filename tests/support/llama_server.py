"""llama.cpp's server as a program, as Ollama starts it: the same server, out of the library xllamacpp."""

from __future__ import annotations

import sys
import time

NUMBERS = {
    "-c": "n_ctx", "--ctx-size": "n_ctx", "-np": "n_parallel", "--parallel": "n_parallel", "-b": "n_batch",
    "--batch-size": "n_batch", "-ub": "n_ubatch", "--ubatch-size": "n_ubatch", "--keep": "n_keep", "--port": "port",
}  # fmt: skip
SWITCHES = {
    "--embedding": ("embedding", True),
    "--no-jinja": ("use_jinja", False),
    "--context-shift": ("ctx_shift", True),
}


def main(args: list[str]) -> int:
    if {"--version", "--list-devices"} & set(args):
        return 0
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.warmup, params.ui = False, False
    adapters = []
    place = 0
    while place < len(args):
        flag = args[place]
        value = args[place + 1] if place + 1 < len(args) else ""
        place += 1
        if flag in SWITCHES:
            setattr(params, *SWITCHES[flag])
            continue
        if not value.startswith("-") or flag in NUMBERS:
            place += 1
        if flag in ("--model", "-m"):
            params.model.path = value
        elif flag == "--lora":
            adapters.append(xllamacpp.CommonAdapterLoraInfo(value, 1.0))
        elif flag in NUMBERS:
            setattr(params, NUMBERS[flag], int(value))
        elif flag == "--host":
            params.hostnames = [value]
        elif flag == "--chat-template":
            params.chat_template = value
    params.lora_adapters = adapters
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    sys.stderr.write(f"server is listening on {server.listening_address}\n")
    sys.stderr.flush()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
