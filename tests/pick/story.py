"""What an operator of a gateway sees: a real Envoy that asks the picker for each request."""

import hashlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from lab import Echo, Engine, Picker, free_ports, request, until
from envoy import DESTINATION, ENVOY, Envoy, listener, original_dst, override_host, picker_cluster
from loopback import LOGS

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


def body(text="hello", **more):
    return {"model": "tiny", "prompt": text, "max_tokens": 4, **more}


# Sessions stay; one request an endpoint is all that may be in flight before others are shed.
SETUP = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: queue-scorer
- type: prefix-cache-scorer
- type: active-request-scorer
- type: session-affinity-filter
- type: concurrency-detector
  parameters: {maxConcurrency: 1}
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: session-affinity-filter
  - {pluginRef: queue-scorer, weight: 2}
  - {pluginRef: prefix-cache-scorer, weight: 3}
  - {pluginRef: active-request-scorer, weight: 2}
"""


class World:
    """Replicas, echoes, pickers and one Envoy with a listener for each way to set it up."""

    def __init__(self):
        self.engines = [Engine(f"engine-{n}", "--decode-rate", "50") for n in range(3)]
        self.echoes = [Echo() for _ in range(3)]
        self.programs = list(self.engines)
        engines = [engine.address for engine in self.engines]
        echoes = [echo.address for echo in self.echoes]
        self.kv = self.keep(Picker("kv", engines))
        self.echo = self.keep(Picker("echo", echoes, "--body-bytes-max", "4000000"))
        self.listing = self.keep(Picker("listing", echoes, "--destinations", "3"))
        self.secret = self.keep(Picker("secret", echoes, tls=True))
        self.mortal = self.keep(Picker("mortal", echoes, "--drain-timeout", "3s"))
        self.closing = self.keep(Picker("closing", echoes, "--no-response-processing"))
        self.setup = self.keep(Picker("setup", engines, "--config-text", SETUP, "--objective", "batch=-1"))
        self.file = LOGS / "endpoints.yaml"
        self.write_endpoints(self.echoes[:1])
        self.filed = self.keep(Picker("filed", [], "--endpoints-file", self.file))
        self.empty = self.keep(Picker("empty", [f"127.0.0.1:{free_ports(1)[0]}"], ready=False))
        names = [
            "kv", "echo", "buffered", "none", "list", "secret", "subset", "nobody", "open", "closing",
            "empty", "kv_buffered", "setup", "filed",
        ]  # fmt: skip
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.envoy = self.keep(Envoy(self.listeners(echoes), self.clusters(echoes)))

    def write_endpoints(self, echoes):
        lines = [
            f'- {{name: echo-{n}, address: 127.0.0.1, port: "{echo.server_port}"}}'
            for n, echo in enumerate(echoes)
        ]
        self.file.write_text("endpoints:\n" + "\n".join(lines) + "\n")

    def keep(self, program):
        self.programs.append(program)
        return program

    def listeners(self, echoes):
        at = self.ports
        direct = "original_dst"
        return [
            listener("kv", at["kv"], direct, "kv"),
            listener("kv_buffered", at["kv_buffered"], direct, "kv", mode="BUFFERED"),
            listener("echo", at["echo"], direct, "echo"),
            listener("buffered", at["buffered"], direct, "echo", mode="BUFFERED"),
            listener("none", at["none"], direct, "echo", mode="NONE"),
            listener("list", at["list"], "pool", "listing"),
            listener("secret", at["secret"], direct, "secret"),
            listener("subset", at["subset"], "pool", "listing", subset=echoes[:1]),
            listener("nobody", at["nobody"], "pool", "listing", subset=["10.9.9.9:1"]),
            listener("open", at["open"], "pool", "mortal", open_=True, strip=True),
            listener("closing", at["closing"], direct, "closing"),
            listener("empty", at["empty"], direct, "empty"),
            listener("setup", at["setup"], direct, "setup"),
            listener("filed", at["filed"], direct, "filed"),
        ]

    def clusters(self, echoes):
        return [
            original_dst(),
            override_host("pool", echoes),
            picker_cluster("kv", self.kv.port),
            picker_cluster("echo", self.echo.port),
            picker_cluster("listing", self.listing.port),
            picker_cluster("secret", self.secret.port, tls=True),
            picker_cluster("mortal", self.mortal.port, watched=True),
            picker_cluster("closing", self.closing.port),
            picker_cluster("empty", self.empty.port),
            picker_cluster("setup", self.setup.port),
            picker_cluster("filed", self.filed.port),
        ]

    def url(self, name, path=COMPLETIONS):
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def post(self, name, sent, headers=None, path=COMPLETIONS):
        return request("POST", self.url(name, path), sent, headers)

    def stop(self):
        for program in reversed(self.programs):
            program.stop(signal.SIGKILL)


def echoed(answer):
    status, _, said = answer
    assert status == 200, (status, said)
    return json.loads(said)


def requests_reach_an_endpoint_of_the_pool(world):
    where = {echoed(world.post("echo", body(f"prompt {n}")))["where"] for n in range(12)}
    assert where == {echo.address for echo in world.echoes}, f"all are used: {where}"
    status, headers, _ = world.post("kv", body())
    assert status == 200
    assert headers["x-went-into-resp-headers"] == "true"


def a_destination_that_a_client_sends_never_decides(world):
    outside = Echo()
    for name in ("echo", "buffered", "none", "secret"):
        said = echoed(world.post(name, body(), {DESTINATION: outside.address}))
        assert said["where"] != outside.address, name
        assert said["headers"][DESTINATION] == said["where"], name


def bodies_arrive_as_they_were_sent(world):
    for size in (0, 1, 61_000, 62_001, 500_000, 3_000_000):
        sent = json.dumps(body("x" * size)).encode()
        for name in ("echo", "buffered") if size < 1_000_000 else ("echo",):
            said = echoed(world.post(name, sent))
            assert said["bytes"] == len(sent), (name, size, said["bytes"])
            assert said["sha256"] == hashlib.sha256(sent).hexdigest(), (name, size)


def raw(world, name, pieces, trailers=b""):
    """Posts a chunked body piece by piece; gives the status line and the rest."""
    with socket.create_connection(("127.0.0.1", world.ports[name]), timeout=20) as tcp:
        tcp.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n")
        tcp.sendall(b"connection: close\r\ncontent-type: application/json\r\n\r\n")
        for piece in pieces:
            tcp.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.02)  # apart, as a slow client's
        tcp.sendall(b"0\r\n" + trailers + b"\r\n")
        answer = b""
        while more := tcp.recv(65536):
            answer += more
    return answer


def a_body_may_come_in_pieces_and_end_with_trailers(world):
    sent = json.dumps(body("slow " * 1000)).encode()
    pieces = [sent[at : at + 700] for at in range(0, len(sent), 700)]
    digest = hashlib.sha256(sent).hexdigest().encode()
    for trailers in (b"", b"x-checksum: 7\r\n"):
        answer = raw(world, "echo", pieces, trailers)
        assert answer.startswith(b"HTTP/1.1 200") and digest in answer, answer[:200]


def streams_are_not_held_up(world):
    sent = json.dumps(body("stream", max_tokens=20, stream=True)).encode()
    with socket.create_connection(("127.0.0.1", world.ports["kv"]), timeout=20) as tcp:
        head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        head += b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(sent)
        tcp.sendall(head + sent)
        times, answer = [], b""
        while more := tcp.recv(65536):
            times.append(time.monotonic())
            answer += more
    assert b"[DONE]" in answer
    # 20 tokens at 50 a second take 400 ms: they come one by one.
    assert len(times) >= 15, len(times)
    assert times[-1] - times[0] > 0.25, times[-1] - times[0]


def each_refusal_has_its_code_and_reason(world):
    for name, sent, headers, status, said in [
        ("echo", b"no healthy upstream", {}, 400, b"inference error: BadRequest - error unmarshaling"),
        ("echo", b'{"prompt":"hi"}', {}, 400, b"inference error: BadRequest - model not found in request body"),
        ("buffered", b"nope", {}, 400, b"inference error: BadRequest - error unmarshaling"),
        ("kv", body("never seen " * 40), {"prefer": "if-available"}, 412, b"PreconditionFailed"),
        ("echo", body("x" * 5_000_000), {}, 413, b"PayloadTooLarge"),
        ("nobody", body(), {}, 503, b"failed to find endpoint candidates for serving the request"),
    ]:  # fmt: skip
        got, answered, text = world.post(name, sent, headers)
        assert got == status and said in text, (name, got, text)
        if status == 503:
            assert answered["x-llm-d-request-dropped-reason"] == "rejected-no-endpoints"


def what_is_cached_is_available(world):
    text = "seen before " * 60
    assert world.post("kv", body(text))[0] == 200
    again = lambda: world.post("kv", body(text), {"prefer": "if-available"})[0] == 200
    until("the prompt is cached", again)


def requests_without_a_body_are_picked_for_too(world):
    where = {request("GET", world.url("echo", "/where"))[2] for _ in range(40)}
    assert where == {echo.address.encode() for echo in world.echoes}, "any endpoint does"
    status, _, text = request("GET", world.url("nobody", "/where"))
    assert status == 503, "within the subset"
    assert b"failed to find endpoint candidates" in text


def a_subset_hint_is_obeyed(world):
    for n in range(8):
        assert echoed(world.post("subset", body(f"subset {n}")))["where"] == world.echoes[0].address


def the_next_of_the_list_answers_where_the_first_fails(world):
    before = world.listing.metric("onefill_picker_diverted_total")
    try:
        for echo in world.echoes[:2]:
            echo.mode = "dead"
        for n in range(6):
            said = echoed(world.post("list", body(f"list {n}")))
            assert said["where"] == world.echoes[2].address
            assert said["headers"][DESTINATION].count(",") == 2, said["headers"][DESTINATION]
    finally:
        for echo in world.echoes:
            echo.mode = "well"
    told = lambda: world.listing.metric("onefill_picker_diverted_total") > before
    until("the picker is told who has answered", told)


def tls_with_a_certificate_of_its_own(world):
    assert echoed(world.post("secret", body("x" * 200_000)))["bytes"] > 200_000


def a_rewritten_model_is_the_endpoints_and_not_the_clients(world):
    rewrite = {"x-llm-d-model-name-rewrite": "other"}
    for name in ("echo", "buffered"):
        said = echoed(world.post(name, body("x" * 70_000), rewrite))
        assert said["model"] == "tiny", "the answer's model is the client's again"
        sent = json.dumps(body("x" * 70_000)).replace('"tiny"', '"other"').encode()
        assert said["sha256"] == hashlib.sha256(sent).hexdigest(), "nothing else has changed"
    status, _, text = world.post("kv", body(), {"x-gateway-model-name-rewrite": "other"})
    assert status == 404 and b"other" in text, "the engine has no such model"


def what_is_predicted_is_what_is_cached(world):
    world.kv.exact()
    before = world.kv.metric("onefill_picker_prediction_error_tokens_count")
    wrong = world.kv.metric("onefill_picker_prediction_error_tokens_sum")
    history = []
    for turn in range(12):
        history.append({"role": "user", "content": f"turn {turn} " * 30})
        sent = {"model": "tiny", "messages": history, "max_tokens": 4}
        for name in ("kv", "kv_buffered"):
            status, _, answer = world.post(name, sent, path=CHAT)
            assert status == 200, answer
        usage = json.loads(answer)["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        assert cached >= usage["prompt_tokens"] - 32, f"the same endpoint again: {usage}"
        history.append(json.loads(answer)["choices"][0]["message"])
    compared = world.kv.metric("onefill_picker_prediction_error_tokens_count") - before
    assert compared == 24, compared
    assert world.kv.metric("onefill_picker_prediction_error_tokens_sum") == wrong, "off by no token"


def feeds_that_are_cut_cost_exactness_and_nothing_else(world):
    world.kv.exact()
    order = lambda **faults: [request("POST", engine.url + "/fault", faults) for engine in world.engines]
    exact = lambda: [each["knowledge"] == "exact" for each in world.kv.fleet()]
    statuses, count = set(), iter(range(10_000))

    def sees(wanted):
        statuses.add(world.post("kv", body(f"silent {next(count)} " * 400))[0])
        return wanted(exact())

    order(silence=True)
    until("the picker sees that events don't come", lambda: sees(lambda each: not any(each)), 60)
    sent = {"model": "tiny", "messages": [{"role": "user", "content": "again and " * 300}], "max_tokens": 1}
    cached = []
    for _ in range(4):
        status, _, answer = world.post("kv", sent, path=CHAT)
        statuses.add(status)
        cached.append(json.loads(answer)["usage"]["prompt_tokens_details"]["cached_tokens"])
    assert min(cached[1:]) > 0, f"what was sent there is remembered: {cached}"
    order(silence=False)
    until("caches are known exactly again", lambda: sees(all), 60)
    order(drop_batches=2)
    for _ in range(8):
        sees(all)
    until("a gap heals", lambda: sees(all), 60)
    assert statuses == {200}, statuses


def nothing_stays_in_flight(world):
    for picker in (world.kv, world.echo, world.listing, world.secret):
        idle = lambda picker=picker: picker.metric("llm_d_epp_extproc_streams_inflight") == 0
        until("all streams are over", idle)


def a_client_that_leaves_is_forgotten(world):
    sent = json.dumps(body("leaver", max_tokens=500, stream=True)).encode()
    with socket.create_connection(("127.0.0.1", world.ports["kv"]), timeout=20) as tcp:
        head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\n"
        tcp.sendall(head + b"content-length: %d\r\n\r\n" % len(sent) + sent)
        assert b"data:" in tcp.recv(65536) + tcp.recv(65536)
    nothing_stays_in_flight(world)


def without_answers_streams_end_with_the_request(world):
    said = echoed(world.post("closing", body("x" * 100_000)))
    assert said["bytes"] > 100_000
    status, headers, _ = world.post("closing", body())
    assert status == 200 and "x-went-into-resp-headers" not in headers


def an_empty_pool_is_503(world):
    status, headers, text = world.post("empty", body())
    # Its only endpoint does not answer: it is tried all the same, and Envoy says what it met.
    assert status == 503, (status, text)


def a_configuration_of_the_reference_is_obeyed(world):
    tokens = {}
    for n in range(12):
        status, headers, _ = world.post("setup", body(f"session {n}"))
        assert status == 200
        tokens[headers["x-session-token"]] = n
    assert len(tokens) > 1, "new sessions go to several endpoints"
    for token in tokens:
        for _ in range(3):
            _, headers, _ = world.post("setup", body("again"), {"x-session-token": token})
            assert headers["x-session-token"] == token, "and stay there"
    assert world.setup.metric("llm_d_epp_request_total") >= 12


def what_may_be_shed_is_429_while_the_pool_is_full(world):
    batch = {"x-llm-d-inference-objective": "batch"}
    assert world.post("setup", body("batch"), batch)[0] == 200
    long = lambda n: world.post("setup", body(f"long {n} ", max_tokens=60))
    threads = [threading.Thread(target=long, args=(n,)) for n in range(6)]
    [thread.start() for thread in threads]
    full = lambda: world.setup.metric("llm_d_epp_extproc_streams_inflight") >= 6
    until("the pool is full", full)
    status, _, text = world.post("setup", body("batch"), batch)
    assert status == 429 and b"system saturated, sheddable request dropped" in text, (status, text)
    assert world.post("setup", body("not batch"))[0] == 200
    [thread.join() for thread in threads]
    assert world.post("setup", body("batch"), batch)[0] == 200


def endpoints_in_a_file_come_and_go(world):
    where = lambda: echoed(world.post("filed", body(str(time.monotonic()))))["where"]
    until("the first is found", lambda: where() == world.echoes[0].address)
    world.write_endpoints(world.echoes[1:])
    both = lambda: {where() for _ in range(8)} == {echo.address for echo in world.echoes[1:]}
    until("the others are found, and the first is gone", both)
    world.file.write_text("endpoints: nonsense")
    until("it is read", lambda: "can't be used" in world.filed.log.read_text())
    assert both(), "a file that makes no sense changes nothing"


def many_at_once(world):
    failed = []

    def client(n):
        for turn in range(10):
            status, _, text = world.post("echo", body(f"client {n} " * 400 + str(turn)))
            if status != 200:
                failed.append((status, text))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failed, failed[:3]


def memory_stays_as_it_is(world):
    def held():
        status = pathlib.Path(f"/proc/{world.echo.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    many_at_once(world)
    before = held()
    for _ in range(3):
        many_at_once(world)
    assert held() < before + 16, f"{before:.0f} MiB became {held():.0f}"


def a_picker_that_stops_says_so_first_and_is_not_missed(world):
    assert world.post("open", body())[0] == 200
    picked = lambda: world.mortal.metric("llm_d_epp_request_total")
    before = picked()
    failed, sent, stop = [], [0], threading.Event()

    def client():
        while not stop.is_set():
            status, _, text = world.post("open", body("open"), {DESTINATION: "10.9.9.9:1"})
            sent[0] += 1
            if status != 200:
                failed.append((status, text))

    threads = [threading.Thread(target=client) for _ in range(4)]
    [thread.start() for thread in threads]
    until("requests go by the picker", lambda: picked() > before + 20)
    world.mortal.process.send_signal(signal.SIGTERM)
    world.mortal.process.wait(20)
    at = sent[0]
    until("requests pass without the picker", lambda: sent[0] > at + 50)
    stop.set()
    [thread.join() for thread in threads]
    assert not failed, (len(failed), sent[0], failed[:3])


def a_picker_that_is_killed_is_missed_only_until_it_is_noticed(world):
    world.mortal.stop(signal.SIGKILL)
    well = lambda: all(world.post("open", body())[0] == 200 for _ in range(20))
    until("the picker's absence is noticed", well, 10)
    assert all(world.post("open", body("x" * 100_000))[0] == 200 for _ in range(10))
    # Where Envoy is to fail closed, it does.
    world.closing.stop(signal.SIGKILL)
    assert world.post("closing", body())[0] == 500


def the_example_to_deploy_is_one_that_envoy_takes(_):
    example = pathlib.Path(__file__).parents[2] / "deploy" / "picker" / "envoy.yaml"
    checked = subprocess.run(
        [ENVOY, "--mode", "validate", "-c", example], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr[-500:]


STORIES = [
    the_example_to_deploy_is_one_that_envoy_takes,
    requests_reach_an_endpoint_of_the_pool,
    a_destination_that_a_client_sends_never_decides,
    bodies_arrive_as_they_were_sent,
    a_body_may_come_in_pieces_and_end_with_trailers,
    streams_are_not_held_up,
    each_refusal_has_its_code_and_reason,
    what_is_cached_is_available,
    requests_without_a_body_are_picked_for_too,
    a_subset_hint_is_obeyed,
    the_next_of_the_list_answers_where_the_first_fails,
    tls_with_a_certificate_of_its_own,
    a_rewritten_model_is_the_endpoints_and_not_the_clients,
    what_is_predicted_is_what_is_cached,
    feeds_that_are_cut_cost_exactness_and_nothing_else,
    without_answers_streams_end_with_the_request,
    an_empty_pool_is_503,
    a_configuration_of_the_reference_is_obeyed,
    what_may_be_shed_is_429_while_the_pool_is_full,
    endpoints_in_a_file_come_and_go,
    many_at_once,
    memory_stays_as_it_is,
    a_client_that_leaves_is_forgotten,
    nothing_stays_in_flight,
    a_picker_that_stops_says_so_first_and_is_not_missed,
    a_picker_that_is_killed_is_missed_only_until_it_is_noticed,
]


def chosen(words):
    """All stories, or those whose names have one of these words in them."""
    named = lambda story: not words or any(word in story.__name__ for word in words)
    return [story for story in STORIES if named(story)]


def main():
    print(f"logs: {LOGS}")
    world = World()
    failed, told = [], 0
    try:
        for story in chosen(sys.argv[1:]):
            told += 1
            name, start = story.__name__.replace("_", " "), time.monotonic()
            try:
                story(world)
            except Exception as error:
                failed.append(name)
                print(f"FAILED {name}: {type(error).__name__}: {error}")
            else:
                print(f"ok {name} ({time.monotonic() - start:.1f} s)")
    finally:
        world.stop()
    print(f"{told - len(failed)} of {told} hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
