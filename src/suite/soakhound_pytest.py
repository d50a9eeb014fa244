"""Soakhound's pytest driver: runs pytest with exactly the tests it is told, and streams what happens.

Started as a script in place of `python -m pytest`, with two more descriptors: the write end of the
results pipe, and a sealed file with the job. It writes newline-delimited JSON, one record per fact,
before and after each test, so that a process that dies loses nothing that was finished and names the
test that ran. It never writes into the project, and decides no outcome that pytest did not report.

Python 3.6 and pytest 6.0 are the oldest that it supports.
"""

import base64
import copy
import fcntl
import hashlib
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
import time

# The host's limit for a name; a little room is kept for the suffix of duplicates.
LONGEST_NAME = 4096 - 32
# Failure texts beyond the budget of a whole run are cut to this many bytes.
SHORT_DETAIL = 1024
# A process that runs tests over and over ends after this time, and this many tests: pytest keeps every report.
ONE_PROCESS_US = 60 * 1000 * 1000
ONE_PROCESS_TESTS = 20000
# Plugins that would run a test again, or elsewhere, when their turn in the protocol comes.
RERUNNERS = {"flaky", "pytest_rerunfailures", "xdist"}


def text_or_bytes(raw):
    """Returns bytes as JSON can carry them: as text where they are UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(raw).decode("ascii")}


def to_bytes(text):
    """Returns the bytes of a text that may hold lone surrogates."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def name_of(nodeid):
    """Returns the name of a test as bytes; what is too long ends in a digest of the whole."""
    raw = to_bytes(nodeid) or b"?"
    if len(raw) > LONGEST_NAME:
        raw = raw[: LONGEST_NAME - 33] + b"#" + hashlib.sha256(raw).hexdigest()[:32].encode("ascii")
    return raw


def cut(raw, limit):
    """Returns at most about `limit` bytes: the beginning and the end, which say most."""
    if len(raw) <= limit:
        return raw
    half = limit // 2
    middle = "\n[... {} bytes cut ...]\n".format(len(raw) - 2 * half).encode("ascii")
    return raw[:half] + middle + raw[len(raw) - half :]


class Stream:
    """The results pipe. Every function is bound early: tests replace those of `os`, `time` and `json`."""

    def __init__(self, fd, nonce):
        # Away from the low numbers, so that tests see the descriptors they expect, children
        # inherit none, and closing a range of small ones does not end the stream.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        base = max(16, (min(limit, 4096) if limit > 0 else 4096) - 16)
        self._doors = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, base) for _ in range(2)]
        os.set_blocking(fd, True)
        pipe = os.fstat(fd)
        self._identity = (pipe.st_dev, pipe.st_ino)
        os.close(fd)
        self._nonce, self._sequence, self._pid = nonce, 0, os.getpid()
        self._getpid, self._fstat, self._write, self._exit = os.getpid, os.fstat, os.write, os._exit
        self.encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        self._clock = getattr(time, "clock_gettime_ns", None)
        self._clock_seconds, self._monotonic = time.clock_gettime, time.CLOCK_MONOTONIC

    def now(self):
        """Returns the kernel's monotonic clock in microseconds."""
        if self._clock is not None:
            return self._clock(self._monotonic) // 1000
        return int(self._clock_seconds(self._monotonic) * 1e6)

    def emit(self, kind, **facts):
        """Writes one record; a forked child of a test writes none."""
        if self._getpid() != self._pid:
            return
        facts.update(n=self._nonce, s=self._sequence, k=kind)
        self._sequence += 1
        rest = self.encode(facts).encode("utf-8") + b"\n"
        while rest:
            rest = rest[self._write_some(rest) :]

    def _write_some(self, line):
        for door in self._doors:
            try:
                found = self._fstat(door)
                # A number that a test closed may by now be a file of its own.
                if (found.st_dev, found.st_ino) == self._identity:
                    return self._write(door, line)
            except OSError:
                continue
        # Running on unheard would be worse than a crash: this one names the test.
        self._exit(70)


class Driver:
    """The pytest plugin. Its hooks are marked in `hooks`, since pytest is imported late."""

    def __init__(self, job, stream):
        self._stream = stream
        self._mode = job["mode"]
        self._wanted = job["tests"]
        self._seed = job["seed32"]
        self._detail_cap = job["detail_cap"]
        self._detail_budget = job["detail_budget"]
        self._ranks = {}
        self._reports = []

    def note(self, text):
        """Tells the user something about this suite."""
        self._stream.emit("note", d=text_or_bytes(cut(to_bytes(text), SHORT_DETAIL)))

    # Before collection

    def pytest_cmdline_main(self, config):
        """Switches off what would change the order, run a test twice, or stop early."""
        option, switched = config.option, []

        def switch(name, value, told):
            if hasattr(option, name) and getattr(option, name) != value:
                if told and getattr(option, name) and told not in switched:
                    switched.append(told)
                setattr(option, name, value)

        in_use = getattr(option, "numprocesses", None) or getattr(option, "tx", None)
        for name, value in (("numprocesses", 0), ("dist", "no"), ("tx", []), ("looponfail", False), ("distload", False)):
            switch(name, value, "pytest-xdist" if in_use else None)
        switch("randomly_reorganize", False, "the shuffling of pytest-randomly")
        switch("randomly_seed", self._seed, None)
        in_use = getattr(option, "random_order_enabled", False)
        for name in ("random_order_bucket", "random_order_seed"):
            in_use = in_use or not str(getattr(option, name, "default:")).startswith("default:")
            switch(name, "default:none", "pytest-random-order" if in_use else None)
        switch("random_order_enabled", False, None)
        in_use = getattr(option, "reruns", None)
        for name in ("reruns", "force_reruns"):
            switch(name, 0, "pytest-rerunfailures" if in_use else None)
        for name in ("lf", "failedfirst", "newfirst", "stepwise", "stepwise_skip", "collectonly", "usepdb", "trace"):
            switch(name, False, "--" + name.replace("_", "-"))
        switch("maxfail", 0, "--maxfail")
        for told in switched:
            self.note("{} is switched off".format(told))
        yield

    def pytest_collectreport(self, report):
        """Reports a module that cannot be collected."""
        if report.failed:
            name = text_or_bytes(name_of(report.nodeid))
            self._stream.emit("uncollected", name=name, d=self._text(self._failure_text(report)))

    def pytest_internalerror(self, excrepr):
        """Reports an error of pytest or of a plugin."""
        self.note("pytest broke: {}".format(excrepr))

    def pytest_collection_modifyitems(self, items):
        """Remembers the order of collection, which numbers duplicates alike in every run."""
        self._ranks = {id(item): rank for rank, item in enumerate(items)}
        yield

    # The loop

    def pytest_runtestloop(self, session):
        """Takes the place of pytest's own loop, after every hook that could reorder."""
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            self._list(session)
            raise session.Interrupted("{} errors during collection".format(session.testsfailed))
        if self._mode == "list":
            self._list(session)
        else:
            self._run(session)
        return True

    def _names(self, items):
        """Returns the name of each item, by its identity; a name seen before gets `#2`, `#3`, ..."""
        names, taken = {}, {name_of(item.nodeid) for item in items}
        first = set()
        for item in sorted(items, key=lambda item: self._ranks.get(id(item), len(self._ranks))):
            name, count = name_of(item.nodeid), 1
            if name in first:
                own = name
                while name in taken:
                    count += 1
                    name = own + b"#%d" % count
                taken.add(name)
            first.add(name)
            names[id(item)] = name
        return names

    def _list(self, session):
        if self._mode == "list":
            names = self._names(session.items)
            for item in session.items:
                self._stream.emit("item", name=text_or_bytes(names[id(item)]))

    def _run(self, session):
        names = self._names(session.items)
        by_name = {names[id(item)]: item for item in session.items}
        order, missing, used = [], [], set()
        for index, packed in enumerate(self._wanted):
            name = base64.b64decode(packed["b64"]) if isinstance(packed, dict) else packed.encode("utf-8")
            item = by_name.get(name)
            if item is None:
                missing.append(index)
                continue
            order.append((index, again(item) if name in used else item))
            used.add(name)
        for start in range(0, len(missing), 500):
            self._stream.emit("missing", missing=missing[start : start + 500])
        session.items[:] = [item for _, item in order]
        session.testscollected = len(order)
        protocol = self._protocol(session.config)
        following = [item for _, item in order[1:]] + [None]
        for (index, item), next_item in zip(order, following):
            self._run_one(index, item, next_item, protocol)
        if self._mode == "again" and order:
            self._run_on([item for _, item in order], protocol)

    def _run_on(self, items, protocol):
        """Runs the tests over and over, unrecorded, for as long as memory stays small."""
        ends, left = self._stream.now() + ONE_PROCESS_US, ONE_PROCESS_TESTS
        while left > 0 and self._stream.now() < ends:
            fresh = [again(item) for item in items]
            for item, next_item in zip(fresh, fresh[1:] + [None]):
                self._reports = []
                protocol(item=item, nextitem=next_item)
            left -= len(items)

    def _protocol(self, config):
        """Returns the hook that runs one test, without the plugins that would run it again."""
        rerunners = []
        for implementation in config.hook.pytest_runtest_protocol.get_hookimpls():
            package = (getattr(implementation.function, "__module__", None) or "").split(".")[0]
            if package in RERUNNERS:
                rerunners.append(implementation.plugin)
        return config.pluginmanager.subset_hook_caller("pytest_runtest_protocol", rerunners)

    def _run_one(self, index, item, next_item, protocol):
        self._reports = []
        self._stream.emit("start", i=index, t=self._stream.now())
        try:
            protocol(item=item, nextitem=next_item)
        except BaseException as problem:
            # No end record: the run stops here, and this test is what stopped it.
            kind = type(problem).__name__
            self.note("the test at position {} ended the run with {}: {}".format(index, kind, problem))
            raise
        ended = self._stream.now()
        outcome, detail = self._verdict()
        facts = {} if detail is None else {"d": self._text(detail)}
        self._stream.emit("end", i=index, t=ended, o=outcome, **facts)

    def pytest_runtest_logreport(self, report):
        """Keeps what pytest says of the running test, phase by phase."""
        self._reports.append(report)

    def _verdict(self):
        """Returns the outcome of the test whose reports were kept, and the text that explains it."""
        outcome, texts = "lost", []
        for report in self._reports:
            in_call = report.when == "call"
            if report.failed:
                if report.when == "teardown" and outcome == "passed":
                    texts.append("the test passed, but its tear-down failed:")
                outcome = "failed" if in_call or outcome == "failed" else "error"
                texts.append(self._failure_text(report))
            elif hasattr(report, "context"):
                continue  # a subtest: only its failure says something of the whole
            elif report.skipped and outcome in ("lost", "passed") and report.when != "teardown":
                expected = getattr(report, "wasxfail", None)
                if expected is not None and "[NOTRUN]" not in expected:
                    outcome = "passed"
                else:
                    outcome = "skipped"
                    texts = [skip_reason(report) if expected is None else expected]
            elif report.passed and in_call and outcome == "lost":
                outcome = "passed"
        return outcome, "\n".join(texts) if texts else None

    def _failure_text(self, report):
        try:
            text = report.longreprtext
            sections = ["{:-^60}\n{}".format(" " + title + " ", content) for title, content in report.sections]
        except Exception as problem:
            return "the failure cannot be shown: {}".format(type(problem).__name__)
        return "\n".join([text] + sections)

    def _text(self, text):
        limit = self._detail_cap if self._detail_budget > 0 else min(SHORT_DETAIL, self._detail_cap)
        raw = cut(to_bytes(text), limit)
        self._detail_budget -= len(raw)
        packed = text_or_bytes(raw)
        # Control characters grow sixfold as JSON text; the host's limit allows for a doubling.
        if not isinstance(packed, dict) and len(self._stream.encode(packed)) > 2 * len(raw) + 64:
            packed = {"b64": base64.b64encode(raw).decode("ascii")}
        return packed


def again(item):
    """Returns a fresh copy of a test, so that its second run sets up and tears down on its own."""
    clone = copy.copy(item)
    clone._report_sections = []
    clone.user_properties = list(item.user_properties)
    clone.own_markers = list(item.own_markers)
    if getattr(item, "cls", None) is not None:
        # The copy must not share the instance of the class that the first run may have changed.
        for bound in ("_obj", "_instance"):
            clone.__dict__.pop(bound, None)
    example = getattr(item, "dtest", None)
    if example is not None:
        # doctest clears the globals of an example after its first run
        clone.dtest = copy.copy(example)
        clone.dtest.globs = dict(example.globs)
    if hasattr(clone, "_initrequest"):
        clone._initrequest()
    return clone


def skip_reason(report):
    """Returns why a test was skipped, in the words of the suite."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return str(report.longrepr)


def hooks(driver):
    """Marks the hooks that must come first or wrap the others."""
    import pytest

    wrapper = pytest.hookimpl(hookwrapper=True, tryfirst=True)
    first = pytest.hookimpl(tryfirst=True)
    for name in ("pytest_cmdline_main", "pytest_collection_modifyitems"):
        wrapper(getattr(Driver, name))
    for name in ("pytest_collectreport", "pytest_runtest_logreport", "pytest_runtestloop"):
        first(getattr(Driver, name))
    return driver


def read_job(fd):
    """Returns the job and closes its file, so that no test finds the nonce in it."""
    with os.fdopen(fd, "rb") as file:
        return json.loads(file.read().decode("utf-8"))


def job_file(job):
    """Returns an open file that holds a job, read from its start, and has no name."""
    raw = json.dumps(job).encode("ascii")
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("job"), "w+b")
    else:
        file = tempfile.TemporaryFile()
    file.write(raw)
    file.seek(0)
    return file


def in_turn(jobs, job_fd):
    """Runs this program once per job, one after the other, while each comes to its end; returns the exit code."""
    code = 0
    # All at once: a process may fill the disk for those after it.
    for file in [job_file(job) for job in jobs]:
        child = os.fork()
        if child == 0:
            try:
                os.dup2(file.fileno(), job_fd)
                os.set_inheritable(job_fd, True)  # it may be that very number
                os.execv(sys.executable, [sys.executable] + sys.argv)
            finally:
                os._exit(127)
        file.close()
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            # The same end for us, so that whoever waits learns of it.
            number = os.WTERMSIG(status)
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        code = os.WEXITSTATUS(status)
        if code not in (0, 1):
            break
    return code


def main():
    """Runs pytest, once unless the job says otherwise, and returns its exit code."""
    job_fd = int(os.environ.get("SOAKHOUND_JOB_FD", "4"))
    job = read_job(job_fd)
    if "processes" in job:
        return in_turn(job["processes"], job_fd)
    os.environ.pop("SOAKHOUND_JOB_FD", None)
    results = int(os.environ.pop("SOAKHOUND_RESULTS_FD", "3"))
    stream = Stream(results, job.pop("nonce"))
    # From here on the process looks like `python -m pytest`, also to children that multiprocessing spawns.
    if sys.path and sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
        sys.path[0] = os.getcwd()
    import pytest

    main_module = sys.modules["__main__"]
    main_module.__spec__ = importlib.util.find_spec("pytest.__main__")
    main_module.__file__ = sys.argv[0] = main_module.__spec__.origin
    python = ".".join(map(str, sys.version_info[:3]))
    stream.emit("versions", runner="pytest " + pytest.__version__, language="Python " + python)
    driver = hooks(Driver(job, stream))
    # Not `-p no:cacheprovider`: tests may ask for the `cache` fixture, and addopts for `--lf`.
    cache = os.path.join(tempfile.gettempdir(), "soakhound-pytest-cache-{}".format(os.getpid()))
    code = int(pytest.main(["-o", "cache_dir=" + cache] + sys.argv[1:], plugins=[driver]))
    stream.emit("finished", exit=code)
    return code


if __name__ == "__main__":
    sys.exit(main())
