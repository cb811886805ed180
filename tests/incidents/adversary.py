"""A second generator, written from the contract's words alone and against the investigator: it varies everything.

Each seed chooses forms (ids, paths, headers, hashes, audit style, replicas, clocks, day), noise, look-alikes and one
to four incidents; `python tests/incidents/adversary.py [seeds]` prints the score of each cause and every mistake.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import tempfile
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

TOOLS = {
    "create_ticket": ("ticket.created", "ticket_id", "TCK-{}"),
    "send_confirmation_email": ("email.sent", "message_id", "msg-{}"),
    "create_invoice": ("invoice.created", "invoice_id", "{}"),
    "issue_refund": ("refund.issued", "refund_id", "re_{}"),
    "charge_card": ("charge.captured", "charge_id", "ch_{}"),
}
CAUSES = ("redispatch", "gateway_retry", "client_resubmission", "model_repeat", "external_duplicate")
OTHERS = ("stalled", "orphan_effect", "missing_effect")


class Adversary:
    """One set of files with its truth."""

    def __init__(self, seed: int) -> None:
        self.r = r = random.Random(seed)
        self.duplicates: dict[frozenset[str], str] = {}
        self.findings: set[tuple[str, str]] = set()
        self.c: list[tuple[float, int, str]] = []
        self.g: list[tuple[float, str, str, str, dict[str, str]]] = []
        self.a: list[tuple[float, dict[str, Any]]] = []
        self.s: list[tuple[float, str, bool]] = []
        self.count = r.randrange(100, 99999)
        self.ids = r.choice(["short", "uuid", "long"])
        self.global_calls = r.random() < 0.5
        self.hash_g = r.choice([4, 6, 8, 12, 64])
        self.hash_a = r.choice([4, 6, 8, 12, 64])
        self.attempts = r.choice(["none", "retry", "always"])
        self.prefix = r.choice(["/tools/", "/v1/tools/", "/api/tools/"])
        self.replicas = r.choice([1, 1, 2, 3])
        self.replica_key = r.random() < 0.5
        self.drop = r.choice([0.0, 0.0, 0.15, 0.3])
        self.skewed = r.choice(["", "coordinator", "gateway", "audit", "submitter"])
        several = r.random() < 0.4
        self.skew = {s: r.uniform(-5, 5) for s in ("coordinator", "gateway", "audit", "submitter")
                     if several or s == self.skewed}  # fmt: skip
        self.start = datetime(2026, 3, 12, tzinfo=UTC) + timedelta(seconds=r.choice([36840, 86340, r.randrange(86400)]))
        self.now = 5.0

    def id(self, prefix: str) -> str:
        self.count += 1
        if self.ids == "uuid":
            return str(uuid.UUID(int=self.r.getrandbits(128)))
        tail = f"{self.count:x}" if self.ids == "short" else f"{self.r.getrandbits(64):016x}"
        return f"{prefix}_{tail}"

    def fresh(self) -> dict[str, Any]:
        self.now += self.r.expovariate(1 / 4.0)
        self.count += 1
        return {
            "thread": self.id("thr"), "run": self.id("run"), "corr": self.id("cr"), "tool": self.r.choice(list(TOOLS)),
            "call": "call_A1" if self.global_calls else self.id("call"), "hash": f"{self.r.getrandbits(256):064x}",
            "who": self.r.randrange(self.replicas), "t": self.now, "effects": [],
        }  # fmt: skip

    # Steps. `x` is a turn; each advances its clock.

    def log(self, x: dict[str, Any], text: str, who: int | None = None) -> None:
        who = x["who"] if who is None else who
        ids = f"thread={x['thread']} run={x['run']} corr={x['corr']}"
        self.c.append((x["t"], who, f"{ids}{f' replica=coord-{who}' if self.replica_key else ''} {text}"))

    def ask(self, x: dict[str, Any], calls: int = 1, first: bool = True) -> None:
        if first:
            self.log(x, "create_run model=gpt-4.1")
            x["t"] += self.r.uniform(0.1, 2)
            self.log(x, "status=in_progress")
        x["t"] += self.r.uniform(0.3, 3)
        self.log(x, f"status=requires_action tool_calls={calls}")
        x["t"] += self.r.uniform(0.002, 0.05)

    def send(self, x: dict[str, Any], who: int | None = None) -> None:
        self.log(x, f"dispatch_tool name={x['tool']} tool_call_id={x['call']}", who)
        x["t"] += self.r.uniform(0.01, 0.3)

    def post(
        self, x: dict[str, Any], status: str = "200", effects: int = 1, attempt: int = 1, took: float | None = None
    ) -> float:
        took = took if took is not None else self.r.choice([self.r.uniform(0.05, 0.5), self.r.uniform(0.5, 4)])
        headers = {"x-corr-id": x["corr"], "x-run-id": x["run"], "x-thread-id": x["thread"],
                   "body_hash": self.cut(x["hash"], self.hash_g), "tool_call_id": x["call"]}  # fmt: skip
        if self.attempts == "always" or (self.attempts == "retry" and attempt > 1):
            headers["attempt"] = str(attempt)
        self.g.append((x["t"], self.prefix + x["tool"], status, f"{took:.1f}s", headers))
        for _ in range(effects):
            self.effect(x, x["t"] + took * self.r.uniform(0.3, 1.0))
        return x["t"] + took

    def effect(self, x: dict[str, Any], at: float) -> None:
        event, key, form = TOOLS[x["tool"]]
        self.count += 1
        made = form.format(self.count)
        x["effects"].append(made)
        self.a.append((at, {"event": event, key: int(made) if made.isdecimal() else made, "source": "agent-tool-gateway",  # noqa: E501
                            "request_fingerprint": self.cut(x["hash"], self.hash_a), "customer_id": "cus_1"}))  # fmt: skip # noqa: E501

    def cut(self, text: str, length: int) -> str:
        return text if length >= 64 else text[:length] + "..."

    def say(self, x: dict[str, Any], text: str, at: float, warn: bool = False) -> None:
        self.s.append((at, f"corr={x['corr']} run={x['run']} tool_call_id={x['call']} {text}", warn))

    def reply(self, x: dict[str, Any], at: float) -> None:
        x["t"] = at + self.r.uniform(0.01, 0.2)
        self.say(x, f"normalize_ok bytes={self.r.randrange(99, 2000)}", x["t"])
        x["t"] += self.r.uniform(0.02, 0.3)
        self.say(x, "submit_tool_outputs status=200", x["t"])
        if self.r.random() < 0.25:
            self.say(
                x, f"duplicate_event queue_msg_id={self.id('qm')} action=drop", x["t"] + self.r.uniform(0.1, 3), True
            )

    def done(self, x: dict[str, Any], status: str = "completed") -> None:
        x["t"] += self.r.uniform(0.05, 1.9)
        if status == "completed":
            self.log(x, "status=in_progress")
            x["t"] += self.r.uniform(0.3, 3)
        self.log(x, f"status={status}")

    def again(self, x: dict[str, Any]) -> dict[str, Any]:
        return {
            **x,
            "run": self.id("run"),
            "corr": self.id("cr"),
            "call": x["call"] if self.global_calls else self.id("call"),
        }

    def whole(self, x: dict[str, Any]) -> dict[str, Any]:
        self.ask(x)
        self.send(x)
        self.reply(x, self.post(x))
        self.done(x)
        return x

    # Incidents

    def redispatch(self) -> None:
        x, r = self.fresh(), self.r
        self.ask(x)
        self.send(x)
        began, shape = x["t"], r.choice(["after", "late", "overlap", "timeout", "thrice"])
        if shape == "timeout":
            x["t"] = self.post(x, r.choice(["timeout", "-", "504"]), took=10.0) + r.uniform(0.1, 20)
            self.send(x, (x["who"] + 1) % self.replicas)
            self.reply(x, self.post(x))
        else:
            end = self.post(x, took=r.uniform(1.5, 4) if shape == "overlap" else None)
            self.reply(x, end)
            back = x["t"]
            for _ in range(2 if shape == "thrice" else 1):
                x["t"] = (
                    began + r.uniform(0.3, 1)
                    if shape == "overlap"
                    else x["t"] + r.uniform(0.05, 160 if shape == "late" else 2)
                )
                if r.random() < 0.4:
                    self.send(x, (x["who"] + 1) % self.replicas)
                self.post(x)
                x["t"] += 3
            x["t"] = back
        self.done(x)
        self.duplicates[frozenset(x["effects"])] = "redispatch"

    def gateway_retry(self) -> None:
        x, r = self.fresh(), self.r
        self.ask(x)
        self.send(x)
        for n in range(r.choice([1, 1, 1, 2])):
            status = r.choice(["-", "timeout", "reset", "500", "502", "503", "504"])
            x["t"] = self.post(
                x,
                status,
                attempt=n + 1,
                effects=1 if n == 0 else r.choice([0, 1]),
                took=10.0 if status == "timeout" else r.uniform(0.2, 9),
            ) + r.uniform(0.02, 5)
        self.reply(x, self.post(x, attempt=n + 2))
        self.done(x)
        self.duplicates[frozenset(x["effects"])] = "gateway_retry"

    def client_resubmission(self) -> None:
        x = self.fresh()
        y = self.again(x)
        y["t"] = x["t"] + self.r.choice([self.r.uniform(0.2, 3), self.r.uniform(5, 400)])
        y["effects"] = x["effects"]
        if self.r.random() < 0.2:
            y["corr"] = x["corr"]
        self.whole(x)
        self.whole(y)
        self.duplicates[frozenset(x["effects"])] = "client_resubmission"

    def model_repeat(self) -> None:
        x, side = self.fresh(), self.r.random() < 0.5
        self.ask(x, 2 if side else 1)
        began = x["t"]
        self.send(x)
        self.reply(x, self.post(x))
        if not side:
            x["t"] += 0.2
            self.log(x, "status=in_progress")
            self.ask(x, first=False)
        else:
            x["t"] = began + self.r.uniform(0.001, 0.2)
        x["call"] = "call_B2" if self.global_calls else self.id("call")
        self.send(x)
        self.reply(x, self.post(x))
        self.done(x)
        self.duplicates[frozenset(x["effects"])] = "model_repeat"

    def external_duplicate(self) -> None:
        x = self.fresh()
        self.ask(x)
        self.send(x)
        end = self.post(x, effects=self.r.choice([1, 2]))
        if len(x["effects"]) == 1:
            self.effect(x, end + self.r.choice([self.r.uniform(0.01, 2), self.r.uniform(2, 150)]))
        self.reply(x, end)
        self.done(x)
        self.duplicates[frozenset(x["effects"])] = "external_duplicate"

    def stalled(self) -> None:
        x, shape = self.fresh(), self.r.choice(["undispatched", "unanswered", "unsubmitted", "refused"])
        self.ask(x)
        if shape != "undispatched":
            self.send(x)
            if shape == "unanswered":
                if self.r.random() < 0.5:
                    self.post(x, "timeout", effects=0, took=10.0)
            else:
                end = self.post(x)
                if shape == "refused" or self.r.random() < 0.5:
                    self.say(x, "normalize_ok bytes=5", end + 0.1)
                if shape == "refused":
                    self.say(
                        x,
                        self.r.choice(["submit_failed status=400", "submit_failed", "submit_tool_outputs status=404"]),
                        end + 0.2,
                        True,
                    )
        self.findings.add(("stalled", x["run"]))

    def orphan_effect(self) -> None:
        x = self.fresh()
        if self.r.random() < 0.7:
            self.ask(x)
            self.send(x)
            end = self.post(x)
            if self.r.random() < 0.5:
                self.reply(x, end)
            x["t"] = max(end, x["t"])
            self.done(x, self.r.choice(["failed", "expired", "cancelled"]))
        else:
            self.post(x)
        self.findings.add(("orphan_effect", x["run"]))

    def missing_effect(self) -> None:
        x = self.fresh()
        self.ask(x)
        self.send(x)
        self.reply(x, self.post(x, effects=0))
        self.done(x)
        self.findings.add(("missing_effect", x["run"]))

    def benign(self) -> None:
        x, shape = self.fresh(), self.r.choice(["whole"] * 5 + ["retry", "equal", "far", "updated", "foreign", "read"])
        if shape == "retry":
            self.ask(x)
            self.send(x)
            x["t"] = self.post(x, self.r.choice(["503", "502", "reset", "-"]), effects=0) + self.r.uniform(0.1, 3)
            self.reply(x, self.post(x, attempt=2))
            self.done(x)
            return
        if shape == "read":
            x["tool"] = self.r.choice(["get_ticket", "search_orders"])
            self.ask(x)
            self.send(x)
            self.reply(x, self.post(x, effects=0))
            self.done(x)
            return
        self.whole(x)
        if shape in ("equal", "far"):
            y = {**self.fresh(), "tool": x["tool"], "hash": x["hash"]}
            if shape == "far":
                y["thread"], y["t"] = x["thread"], x["t"] + 640
            self.whole(y)
        if shape == "updated":
            at, entry = next(pair for pair in self.a if x["effects"][0] in map(str, pair[1].values()))
            self.a.append((at + 2, {**entry, "event": entry["event"].split(".")[0] + ".updated"}))
        if shape == "foreign":
            self.a.append((x["t"], {"event": "ticket.created", "ticket_id": f"WEB-{self.count}", "source": "web-form"}))

    # Writing

    def iso(self, source: str, at: float, clock_only: bool = False) -> str:
        moment = self.start + timedelta(milliseconds=round(1000 * (at + self.skew.get(source, 0.0))))
        if clock_only:
            return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
        if self.zone:
            return moment.astimezone(timezone(timedelta(hours=self.zone))).isoformat(timespec="milliseconds")
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

    def blocks(self) -> list[str]:
        made = []
        for at, path, status, took, headers in sorted(self.g, key=lambda item: item[0]):
            kept = {k: v for k, v in headers.items() if k in ("body_hash", "attempt") or self.r.random() >= self.drop}
            if not {"x-run-id", "x-corr-id"} & set(kept):
                kept["x-run-id"] = headers["x-run-id"]
            words = [f"{k}={v}" for k, v in kept.items()]
            self.r.shuffle(words)
            size = self.r.choice([2, 3, 6])
            lines = ["  " + "  ".join(words[i : i + size]) for i in range(0, len(words), size)]
            made.append(f"{self.iso('gateway', at, True)} POST {path} {status} {took}\n" + "\n".join(lines) + "\n")
        return made

    def write(self, folder: Path) -> dict[str, list[str]]:
        r, files = self.r, {}
        self.zone = r.choice([0, 0, 2, -7])
        shuffle, crlf, zipped = r.random() < 0.3, r.random() < 0.3, r.random() < 0.3

        def put(source: str, name: str, text: str) -> None:
            data = text.replace("\n", "\r\n").encode() if crlf else text.encode()
            (folder / name).write_bytes(gzip.compress(data) if zipped else data)
            files.setdefault(source, []).append(str(folder / name))

        def mess(lines: list[str]) -> list[str]:
            if shuffle:
                r.shuffle(lines)
            for _ in range(r.choice([0, 0, 3])):
                lines.insert(
                    r.randrange(len(lines) + 1), r.choice(["--- log rotated ---", "panic: nil", "2026-03-12T", "{"])
                )
            return lines

        split = self.replicas if r.random() < 0.7 else 1
        for replica in range(split):
            lines = [
                f"{self.iso('coordinator', at)} coordinator INFO  {text}"
                for at, who, text in sorted(self.c)
                if who % split == replica
            ]
            put("coordinator", f"c{replica}.log", "\n".join(mess(lines)) + "\n")
        put("gateway", "g.log", "\n".join(mess(self.blocks())))
        lines = [
            f"{self.iso('submitter', at)} submitter {'WARN ' if w else 'INFO '} {text}"
            for at, text, w in sorted(self.s)
        ]
        put("submitter", "s.log", "\n".join(mess(lines)) + "\n")
        entries = [{**e, "created_at": self.iso("audit", at)} for at, e in sorted(self.a, key=lambda pair: pair[0])]
        if shuffle:
            r.shuffle(entries)
        style = r.choice(["pretty", "compact", "lines"])
        text = json.dumps(entries, indent=2 if style == "pretty" else None)
        put("audit", "a.json", text if style != "lines" else "\n".join(json.dumps(e) for e in entries))
        return files


def play(seed: int) -> Adversary:
    """Play one to four incidents among benign turns."""
    w = Adversary(seed)
    acts = [w.benign] * w.r.choice([2, 8, 30]) + [
        getattr(w, n) for n in w.r.choices(CAUSES + OTHERS, k=w.r.randrange(1, 5))
    ]
    w.benign()
    w.r.shuffle(acts)
    for act in acts:
        act()
    w.benign()
    return w


def main(seeds: int, show: int | None = None) -> None:
    """Score; with a seed, show its answer."""
    sys.path[:0] = [str(Path(__file__).parents[2])]
    from app.incidents import investigate_files
    from app.incidents.render_text import render_text

    right: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    wrong: list[str] = []
    sure: Counter[str] = Counter()
    for seed in range(seeds) if show is None else [show]:
        w = play(seed)
        folder = Path(tempfile.mkdtemp()) if show is not None else Path(tempfile.gettempdir()) / "adversary"
        folder.mkdir(exist_ok=True)
        answer = investigate_files(w.write(folder))
        said = {frozenset(d.effects): d for d in answer.duplicates}
        for effects, cause in w.duplicates.items():
            tried[cause] += 1
            got = said.pop(effects, None)
            right[cause] += got is not None and got.cause == cause
            if got is None or got.cause != cause:
                wrong.append(f"{seed}: {cause} said {f'{got.cause}/{got.confidence}' if got else 'nothing'}")
            else:
                sure[f"{cause} {got.confidence}"] += 1
        wrong += [f"{seed}: false {d.cause}/{d.confidence} {sorted(e)}" for e, d in said.items()]
        found = {(f.kind, f.run_id or "") for f in answer.findings}
        for kind, run in w.findings:
            tried[kind] += 1
            right[kind] += (kind, run) in found
            if (kind, run) not in found:
                wrong.append(f"{seed}: no {kind} {run}")
        wrong += [f"{seed}: false {kind} {run}" for kind, run in found - w.findings]
        if show is not None:
            print(folder, w.duplicates, w.findings, w.skewed, w.skew, w.drop)
            print(render_text(answer))
    print("\n".join(wrong[:40]))
    for name in sorted(tried):
        print(f"{name:22} {right[name]:5} of {tried[name]:5}  {100 * right[name] / tried[name]:5.1f} %")
    print(len(wrong), "mistakes in", seeds, "sets;", dict(sure))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, int(sys.argv[2]) if len(sys.argv) > 2 else None)
