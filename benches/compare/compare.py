#!/usr/bin/env python3
"""Shardwright beside its peers: the same load on each in turn, several times over, and the ratios.

    benches/compare/compare.py [--rounds 5] [--seconds 8] [--clients 64] [--only etcd|stateright]

Takes turns (A B A B ...), so that a machine that is slow for a while is slow for all. Quotes medians.
Needs `etcd` (Debian: etcd-server) and, to build the load generator for it, `protoc` (Debian:
protobuf-compiler). All traffic stays on the loopback interface. Data is written to a temporary
directory below the current one, which should be on the disk to be measured.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
VALUE_BYTES, KEYS, CONNECTIONS = 100, 1000, 16


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--only", choices=["etcd", "stateright"])
    args = parser.parse_args()
    pairs = []
    if args.only != "stateright":
        if not (shutil.which("etcd") and shutil.which("protoc")):
            sys.exit("install etcd and protoc: apt-get install etcd-server protobuf-compiler")
        etcd_load = build(os.path.join(HERE, "etcd-load"))
        pairs.append(("durable put", "etcd put"))
        pairs.append(("durable get", "etcd linearizable get"))
    if args.only != "etcd":
        spawn = build(os.path.join(HERE, "stateright-spawn"))
        pairs.append(("memory put", "stateright spawn put"))
    ours = build(ROOT)
    results = {}

    def note(name, result):
        results.setdefault(name, []).append(result)
        print(f"{name:24} {result['per_second']:>10,.0f}/s  p50 {result['p50_us'] / 1e3:.2f} ms"
              f"  p99 {result['p99_us'] / 1e3:.2f} ms", flush=True)

    for round_ in range(args.rounds):
        print(f"round {round_ + 1} of {args.rounds}", flush=True)
        with tempfile.TemporaryDirectory(prefix="compare-", dir=".") as directory:
            if args.only != "stateright":
                for name, result in etcd(etcd_load, args, directory):
                    note(name, result)
                for result in shardwright(ours, args, directory, "durable"):
                    note(f"durable {result['operation']}", result)
            if args.only != "etcd":
                command = [spawn, args.clients, args.seconds, VALUE_BYTES, KEYS, free_ports(1)[0]]
                note("stateright spawn put", output(command, directory))
                for result in shardwright(ours, args, directory, "memory"):
                    note(f"memory {result['operation']}", result)
    table(pairs, results)


def build(package):
    """Builds a package and gives its program."""
    own = package == ROOT
    target = TARGET if own else os.path.join(TARGET, "compare")
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=package, check=True,
                   env={**os.environ, "CARGO_TARGET_DIR": target})
    name = "shardwright" if own else os.path.basename(package)
    return os.path.abspath(os.path.join(target, "release", name))


def output(command, directory):
    """What a program prints, as JSON."""
    command = [str(argument) for argument in command]
    return json.loads(subprocess.run(command, cwd=directory, check=True, text=True,
                                     stdout=subprocess.PIPE).stdout)


def shardwright(program, args, directory, storage):
    """Puts, then gets; the servers are processes, the clients have as many sockets as etcd's."""
    report = os.path.join(directory, "report.json")
    command = [program, "bench", "cluster", f"--{storage}", "--clients", args.clients, "--seconds",
               args.seconds, "--value-bytes", VALUE_BYTES, "--keys", KEYS, "--json", report,
               "--data", os.path.join(directory, storage)]
    if storage == "durable":
        command += ["--sockets", CONNECTIONS]
    subprocess.run([str(argument) for argument in command], check=True, stdout=subprocess.DEVNULL)
    with open(report, encoding="utf-8") as file:
        phases = json.load(file)["phases"]
    shutil.rmtree(os.path.join(directory, storage))
    return phases


def etcd(load, args, directory):
    """Puts, then linearizable gets, on three members."""
    ports = free_ports(6)
    peers = [f"http://127.0.0.1:{port}" for port in ports[:3]]
    endpoints = [f"http://127.0.0.1:{port}" for port in ports[3:]]
    members = []
    try:
        for i, (peer, endpoint) in enumerate(zip(peers, endpoints)):
            cluster = ",".join(f"m{j}={url}" for j, url in enumerate(peers))
            members.append(subprocess.Popen(
                ["etcd", "--name", f"m{i}", "--data-dir", os.path.join(directory, f"m{i}"),
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 "--listen-client-urls", endpoint, "--advertise-client-urls", endpoint,
                 "--initial-cluster", cluster, "--initial-cluster-state", "new",
                 "--heartbeat-interval", "100", "--election-timeout", "1000",
                 "--log-level", "error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(4)  # An election.
        rest = [args.clients, CONNECTIONS, args.seconds, VALUE_BYTES, KEYS, *endpoints]
        yield "etcd put", output([load, "put", *rest], directory)
        yield "etcd linearizable get", output([load, "get", *rest], directory)
    finally:
        for member in members:
            member.terminate()
        for member in members:
            member.wait()


def free_ports(count):
    """Ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    for it in sockets:
        it.bind(("127.0.0.1", 0))
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    # The program with one port given takes the two that follow as well.
    return ports


def table(pairs, results):
    """Medians and their ratios."""
    print("\n| ours | per second | p50 | p99 | theirs | per second | p50 | p99 | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for ours, theirs in pairs:
        cells = []
        for name in (ours, theirs):
            median = lambda key: statistics.median(r[key] for r in results[name])
            cells += [name, f"{median('per_second'):,.0f}", f"{median('p50_us') / 1e3:.2f} ms",
                      f"{median('p99_us') / 1e3:.2f} ms"]
        ratio = statistics.median(r["per_second"] for r in results[ours]) / statistics.median(
            r["per_second"] for r in results[theirs])
        print(f"| {' | '.join(cells)} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
