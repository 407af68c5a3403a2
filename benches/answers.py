"""What an answer takes and needs, beside DuckDB and chDB over the same Parquet files.

    cargo xtask bench-answers

does it all; with a program that is there, `python benches/answers.py PROGRAM FOLDER [--rounds N] [--json]`, by a Python
that has duckdb and chdb.

Each engine is a process of its own with two threads, and in each round each question is asked of each in turn, so that
what else the machine does hits all. A peer is asked twice: `guarded`, for the same sums that the engine needs before
its gate (who is enrolled, who is left out, at most so many rows of a principal, sums by principal, then by group
with all margins), and `plain`, as an analyst would who promised nobody anything. Both peers must agree to the last digit,
and what the engine tells must be what it makes of the peers' numbers: a count exactly so rounded, a mean or share within
half a step. Who disagrees fails the run. Says median and 99th of 100 by nearest rank, which with fewer rounds than 100 is
the longest, and the most memory that was resident while a question was answered.
"""

import argparse
import json
import math
import pathlib
import signal
import subprocess
import sys
import time

THREADS = 2
# Firmware numbers of one model, and what the place of a missing section is called, as in the engine.
FIRMWARES, NOT_SHARED = 64, -1
STEP_PRINCIPALS, FINEST, MICROS = 5, 0.01, 1_000_000
NUMBERS = ["principals", "n_total", "n_largest", "n_two", "s_total", "s_largest", "s_two", "ss", "sn", "nn"]


class Duck:
    """How DuckDB is asked."""

    name = "DuckDB"

    def __init__(self, folder, memory):
        import duckdb
        self.folder, self.version, self.line = folder, duckdb.__version__, duckdb.connect()
        self.line.execute(f"SET threads={THREADS}; SET memory_limit='{memory}MiB'; SET preserve_insertion_order=false")

    def load(self, enrolled, excluded):
        self.line.execute("CREATE TABLE enrolled (principal BLOB)")
        self.line.execute("CREATE TABLE excluded (subject BLOB, category VARCHAR, up_to UBIGINT)")
        self.line.execute("INSERT INTO enrolled SELECT unhex(unnest(?))", [enrolled])
        columns = [list(column) for column in zip(*excluded)] or [[], [], []]
        self.line.execute("INSERT INTO excluded SELECT unhex(s), c, u FROM "
                          "(SELECT unnest(?) s, unnest(?) c, unnest(?) u)", columns)

    def ask(self, texts):
        rows = []
        for text in texts:
            rows = self.line.execute(text).fetchall()
        return rows

    def table(self, name, since):
        dates = f"{since[:8]}*" if since else "*"
        return f"read_parquet('{self.folder}/{name}/date={dates}/*.parquet', hive_partitioning=false)"

    def days(self, column):
        return f"({column} - DATE '1970-01-01')"

    def divided(self, a, b):
        return f"({a}) // {b}"

    def stands_for(self, value, micros):
        cases = " ".join(f"WHEN {index} THEN {number}" for index, number in enumerate(micros))
        return f"CAST(CASE {value} {cases} ELSE 0 END AS BIGINT)"

    def guarded(self, question):
        """One statement: the finest groups once, the rows of who has too many once more."""
        place, bound = places(question), question["bound"]
        listed = "".join(f"{one}, " for one in place)
        rows, own = self.rows(question), self.left_out(question["categories"])
        joined = [one["category"] for one in question["dimensions"] if one["joined"]]
        days = ""
        if joined:
            columns = ", ".join(f"max({joined_value(self, one)}) AS joined_{at}"
                                for at, one in enumerate(question["dimensions"]) if one["joined"])
            days = (f"days AS NOT MATERIALIZED (SELECT t.subject, t.date, {columns} "
                    f"FROM {self.table('day', question['since'])} t ANTI JOIN ({self.left_out(joined)}) x "
                    "ON t.subject = x.subject AND t.commit <= x.up_to GROUP BY t.subject, t.date), ")
        of_one = f"{listed}epoch, principal"
        sets = ", ".join(f"({''.join(f'{one}, ' for one in some)}epoch, principal)" for some in subsets(place))
        return [f"""WITH own AS ({own}), {days}
            looked_at AS NOT MATERIALIZED ({rows}),
            finest AS MATERIALIZED (SELECT {of_one}, count(*) AS n, sum(adds)::BIGINT AS s FROM looked_at GROUP BY ALL),
            heavy AS MATERIALIZED (SELECT principal FROM finest GROUP BY principal, epoch HAVING sum(n) > {bound}),
            placed AS (SELECT {of_one}, adds, row_number() OVER (PARTITION BY principal, epoch
                ORDER BY commit, ordinal, subject) AS nth FROM looked_at SEMI JOIN heavy USING (principal)),
            bounded AS (SELECT * FROM finest ANTI JOIN heavy USING (principal) UNION ALL
                SELECT {of_one}, count(*) AS n, sum(adds)::BIGINT AS s FROM placed WHERE nth <= {bound} GROUP BY ALL),
            each AS (SELECT {of_one}, sum(n)::BIGINT AS n, sum(s)::BIGINT AS s FROM bounded
                GROUP BY GROUPING SETS ({sets}))
            SELECT {listed}epoch, count(*), sum(n), max(n), list_sum(max(n, 2)), sum(s), max(s), list_sum(max(s, 2)),
                sum(s::HUGEINT * s), sum(s::HUGEINT * n), sum(n::HUGEINT * n) FROM each GROUP BY {listed}epoch"""]

    def left_out(self, categories):
        return f"SELECT subject, max(up_to) AS up_to FROM excluded WHERE {among('category', categories)} GROUP BY subject"

    def rows(self, question):
        joins, columns = [], []
        for at, one in enumerate(question["dimensions"]):
            value = own_value(self, one)
            if one["joined"]:
                value = f"coalesce(d.joined_{at}, 0)"
            elif one["category"]:
                joins.append(f"LEFT JOIN ({self.left_out([one['category']])}) x{at} "
                             f"ON t.subject = x{at}.subject AND t.commit <= x{at}.up_to")
                value = f"CASE WHEN x{at}.subject IS NOT NULL THEN {NOT_SHARED} ELSE {value} END"
            columns.append(f"CAST({value} AS INT) AS dimension_{at}")
        if any(one["joined"] for one in question["dimensions"]):
            joins.append("LEFT JOIN days d ON t.subject = d.subject AND t.date = d.date")
        if question["measure"]["kind"] == "histogram":
            columns.append(f"CAST(t.{question['field']} AS INT) AS value")
        columns.append(f"{adds(self, question)} AS adds")
        return (f"SELECT t.commit, t.ordinal, t.epoch, t.subject, t.principal, {', '.join(columns)} "
                f"FROM {self.table(question['table'], question['since'])} t SEMI JOIN enrolled e ON t.principal = e.principal "
                f"ANTI JOIN own o ON t.subject = o.subject AND t.commit <= o.up_to {' '.join(joins)} WHERE {looked_at(question)}")


class House:
    """How chDB, ClickHouse in a process, is asked."""

    name = "chDB"

    def __init__(self, folder, memory):
        import chdb
        from chdb import session
        self.folder, self.version, self.line = folder, chdb.__version__, session.Session()
        self.line.query(f"SET max_threads={THREADS}")
        self.line.query(f"SET max_memory_usage={memory << 20}")
        self.line.query("SET group_by_use_nulls=1")

    def load(self, enrolled, excluded):
        self.line.query("CREATE DATABASE IF NOT EXISTS lake")
        self.line.query("CREATE TABLE lake.enrolled (principal FixedString(16)) ENGINE=Set SETTINGS persistent=0")
        self.line.query("CREATE TABLE lake.excluded (subject FixedString(16), category String, up_to UInt64) ENGINE=Memory")
        for some in chunks(enrolled):
            values = ", ".join(f"(unhex('{one}'))" for one in some)
            self.line.query(f"INSERT INTO lake.enrolled VALUES {values}")
        for some in chunks(excluded):
            values = ", ".join(f"(unhex('{subject}'), '{category}', {up_to})" for subject, category, up_to in some)
            self.line.query(f"INSERT INTO lake.excluded VALUES {values}")

    def ask(self, texts):
        text = ""
        for one in texts:
            text = self.line.query(one, "TabSeparated").bytes().decode()
        number = lambda cell: None if cell == "\\N" else float(cell) if "." in cell or "e" in cell else int(cell)
        return [tuple(number(cell) for cell in row.split("\t")) for row in text.splitlines()]

    def table(self, name, since):
        dates = f"{since[:8]}*" if since else "*"
        return f"file('{self.folder}/{name}/date={dates}/*.parquet', 'Parquet')"

    def days(self, column):
        return f"toInt32({column})"

    def divided(self, a, b):
        return f"intDiv({a}, {b})"

    def stands_for(self, value, micros):
        indices = ", ".join(map(str, range(len(micros))))
        return f"toInt64(transform({value}, [{indices}], [{', '.join(map(str, micros))}], 0))"

    def guarded(self, question):
        """The same in steps, because a common table of ClickHouse is computed wherever it is named."""
        place, bound = places(question), question["bound"]
        listed = "".join(f"{one}, " for one in place)
        of_one, rows = f"{listed}epoch, principal", self.rows(question)
        sets = ", ".join(f"({''.join(f'{one}, ' for one in some)}epoch, principal)" for some in subsets(place))
        two = lambda name: f"-arraySum(groupArraySorted(2)(-{name}))"
        return [
            "DROP TABLE IF EXISTS lake.finest",
            f"""CREATE TABLE lake.finest ENGINE=Memory AS SELECT {of_one}, toInt64(count()) AS n, toInt64(sum(adds)) AS s
                FROM ({rows}) GROUP BY {of_one}""",
            "DROP TABLE IF EXISTS lake.heavy",
            "CREATE TABLE lake.heavy (principal FixedString(16)) ENGINE=Set SETTINGS persistent=0",
            f"INSERT INTO lake.heavy SELECT principal FROM lake.finest GROUP BY principal, epoch HAVING sum(n) > {bound}",
            f"""SELECT {listed}epoch, count(), sum(n), max(n), {two('n')}, sum(s), max(s), {two('s')},
                sum(toInt128(s) * s), sum(toInt128(s) * n), sum(toInt128(n) * n) FROM (
                SELECT {of_one}, sum(n) AS n, sum(s) AS s FROM (
                    SELECT * FROM lake.finest WHERE principal NOT IN lake.heavy UNION ALL
                    SELECT {of_one}, toInt64(count()) AS n, toInt64(sum(adds)) AS s FROM (
                        SELECT {of_one}, adds, row_number() OVER (PARTITION BY principal, epoch
                            ORDER BY commit, ordinal, subject) AS nth
                        FROM ({self.rows(question, "t.principal IN lake.heavy AND ")})) WHERE nth <= {bound} GROUP BY {of_one})
                GROUP BY GROUPING SETS ({sets})) GROUP BY {listed}epoch""",
        ]

    def left_out(self, categories):
        return f"SELECT subject, max(up_to) AS up_to FROM lake.excluded WHERE {among('category', categories)} GROUP BY subject"

    def rows(self, question, first=""):
        # Nobody's commit is 0, which is what a join without a match gives.
        joins, columns = [f"LEFT ANY JOIN ({self.left_out(question['categories'])}) AS o ON t.subject = o.subject"], []
        for at, one in enumerate(question["dimensions"]):
            value = own_value(self, one)
            if one["joined"]:
                value = f"d.joined_{at}"
            elif one["category"]:
                joins.append(f"LEFT ANY JOIN ({self.left_out([one['category']])}) AS x{at} ON t.subject = x{at}.subject")
                value = f"if(t.commit <= x{at}.up_to, {NOT_SHARED}, {value})"
            columns.append(f"assumeNotNull(toInt32({value})) AS dimension_{at}")
        of_day = [(at, one) for at, one in enumerate(question["dimensions"]) if one["joined"]]
        if of_day:
            highest = ", ".join(f"max(assumeNotNull({joined_value(self, one)})) AS joined_{at}" for at, one in of_day)
            left_out = self.left_out([one["category"] for _, one in of_day])
            joins.append(f"LEFT ANY JOIN (SELECT t.subject AS subject, t.date AS date, {highest} "
                         f"FROM {self.table('day', question['since'])} AS t LEFT ANY JOIN ({left_out}) AS x "
                         "ON t.subject = x.subject WHERE t.commit > x.up_to GROUP BY subject, date) AS d "
                         "ON t.subject = d.subject AND t.date = d.date")
        if question["measure"]["kind"] == "histogram":
            columns.append(f"assumeNotNull(toInt32(t.{question['field']})) AS value")
        columns.append(f"assumeNotNull({adds(self, question)}) AS adds")
        return ("SELECT t.commit AS commit, t.ordinal AS ordinal, t.epoch AS epoch, t.subject AS subject, "
                f"t.principal AS principal, {', '.join(columns)} FROM {self.table(question['table'], question['since'])} AS t "
                f"{' '.join(joins)} WHERE {first}t.principal IN lake.enrolled AND t.commit > o.up_to AND {looked_at(question)}")


PEERS = {"duckdb": Duck, "chdb": House}
# Who is asked: the engine that computes each answer, the one that keeps them, and each peer in both ways.
KEYS = [("ours", "first"), ("ours", "again"), *((kind, way) for way in ("guarded", "plain") for kind in PEERS)]


def chunks(all_of_it):
    return (all_of_it[at:at + 10_000] for at in range(0, len(all_of_it), 10_000))


def subsets(all_of_it):
    """All subsets, the whole first."""
    if not all_of_it:
        return [[]]
    rest = subsets(all_of_it[1:])
    return [[all_of_it[0], *some] for some in rest] + rest


def among(column, values):
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def places(question):
    """Names of what tells a group's place."""
    names = [f"dimension_{at}" for at in range(len(question["dimensions"]))]
    return names + ["value"] * (question["measure"]["kind"] == "histogram")


def own_value(sql, dimension):
    """A dimension's value of a row `t` of its own table."""
    if dimension["column"]:
        return f"coalesce(CAST(t.{dimension['column']} AS Nullable(Int32)), {NOT_SHARED})" if sql.name == "chDB" else (
            f"coalesce(CAST(t.{dimension['column']} AS INT), {NOT_SHARED})")
    if dimension["name"] == "week":
        return sql.divided(f"{sql.days('t.date')} + 3", 7)
    return f"CASE WHEN t.machine_model IS NULL THEN {NOT_SHARED} ELSE {joined_value(sql, dimension)} END"


def joined_value(_sql, dimension):
    """A dimension's value of a row `t` of the day, 0 where none is told."""
    if dimension["column"]:
        return f"coalesce(t.{dimension['column']}, 0)"
    if dimension["name"] == "model":
        return "coalesce(t.machine_model, 0)"
    return (f"coalesce(CAST(t.machine_model AS INT), 0) * {FIRMWARES} + "
            f"CASE WHEN t.machine_model > 0 AND t.machine_firmware > 0 AND t.machine_firmware_change = 0 "
            f"THEN CAST(t.machine_firmware AS INT) ELSE 0 END"
            if _sql.name == "DuckDB" else
            f"toInt32(coalesce(t.machine_model, 0)) * {FIRMWARES} + "
            f"if(coalesce(t.machine_model > 0 AND t.machine_firmware > 0 AND t.machine_firmware_change = 0, 0), "
            f"toInt32(coalesce(t.machine_firmware, 0)), 0)")


def looked_at(question):
    """Which rows `t` count."""
    measure, column = question["measure"], f"t.{question['field']}"
    conditions = [f"{column} IS NOT NULL"]
    if measure["kind"] in ("histogram", "mean"):
        conditions.append(f"{column} > 0")
    if measure["kind"] == "rate":
        conditions.append(among(column, measure["denominator"]))
    if question["since"]:
        conditions.append(f"t.date >= '{question['since']}'")
    return " AND ".join(conditions)


def adds(sql, question):
    """What a row `t` adds to the sum, in millionths."""
    measure, column = question["measure"], f"t.{question['field']}"
    if measure["kind"] == "rate":
        return f"CASE WHEN {among(column, measure['numerator'])} THEN {MICROS} ELSE 0 END"
    return sql.stands_for(column, question["micros"]) if measure["kind"] == "mean" else "0"


def plain(sql, question):
    """What somebody asks who looks for the number alone."""
    of_day = any(one["joined"] for one in question["dimensions"])
    measure, columns = question["measure"], []
    for one in question["dimensions"]:
        text = joined_value(sql, one) if one["joined"] else own_value(sql, one)
        columns.append(text.replace("t.", "d.") if one["joined"] else text)
    if measure["kind"] == "histogram":
        columns.append(f"t.{question['field']}")
    number = {"rate": f"avg({adds(sql, question)})", "mean": f"avg({adds(sql, question)})"}.get(measure["kind"], "count(*)")
    join = ""
    if of_day:
        join = f"JOIN {sql.table('day', question['since'])} AS d ON t.subject = d.subject AND t.date = d.date"
    picked = "".join(f" AND d.machine_model = {one.split('=')[1]}" for one in [question["where"]] if one)
    groups = ", ".join(str(at + 1) for at in range(len(columns)))
    return [f"SELECT {', '.join([*columns, number])} FROM {sql.table(question['table'], question['since'])} AS t {join} "
            f"WHERE {looked_at(question)}{picked}" + (f" GROUP BY {groups}" if groups else "")]


def peak():
    """Most resident memory of this process since it was last forgotten, bytes."""
    status = pathlib.Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def work(kind, folder, memory):
    """One peer: a question a line in, seconds and rows a line out."""
    sql = PEERS[kind](folder, int(memory))
    catalogue = json.loads((pathlib.Path(folder) / "catalogue.json").read_bytes())
    excluded = [(one["subject"], one["category"], one["up_to"]) for one in catalogue["excluded"]]
    sql.load(catalogue["enrolled"], excluded)
    del catalogue, excluded
    print(json.dumps({"version": sql.version}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        texts = sql.guarded(asked["question"]) if asked["guarded"] else plain(sql, asked["question"])
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        begun = time.perf_counter()
        try:
            rows, failed = sql.ask(texts), None
        except Exception as error:  # Each peer has errors of its own; the run says which and goes on.
            rows, failed = [], str(error).splitlines()[0]
        seconds = time.perf_counter() - begun
        print(json.dumps({"seconds": seconds, "peak": peak(), "failed": failed, "rows": sorted(
            ([number if number is None else float(number) if isinstance(number, float) else int(number) for number in row]
             for row in rows), key=lambda row: [-2 if number is None else number for number in row])}), flush=True)


class Process:
    """An engine, one question at a time."""

    def __init__(self, command):
        self.running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self):
        text = self.running.stdout.readline()
        if not text:
            sys.exit(f"bench-answers: `{self.running.args[0]}` ended; it has said why")
        return json.loads(text)

    def ask(self, what):
        self.running.stdin.write(json.dumps(what) + "\n")
        self.running.stdin.flush()
        return self.line()

    def end(self):
        self.running.stdin.close()
        self.running.wait()


def rounded(exact, principals):
    """A count as the engine tells it."""
    share = -(-exact * STEP_PRINCIPALS // max(principals, 1))
    step = next(digit * 10**power for power in range(18) for digit in (5, 10, 20) if digit * 10**power >= share)
    return (exact + step // 2) // step * step


def index(dimension, label):
    """The number of a label in an answer."""
    if dimension["labels"]:
        at = dimension["labels"].index(label)
        return NOT_SHARED if at == len(dimension["labels"]) - 1 else at
    if label in ("not_shared", "unknown"):
        return NOT_SHARED if label == "not_shared" else 0
    if dimension["name"] == "week":
        days = int(time.mktime(time.strptime(label + " 12", "%Y-%m-%d %H")) // 86400)
        return (days + 3) // 7
    if dimension["name"] == "firmware":
        model, firmware = label.split(".")
        return int(model) * FIRMWARES + (0 if firmware == "unknown" else int(firmware))
    return int(label)


def disagreements(question, answer, rows):
    """How many groups were compared, and what the engine told that the peers' numbers do not give."""
    width, faults, compared = len(places(question)), [], 0
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[:width]), []).append(dict(zip(NUMBERS, row[width + 1:])))
    total = lambda epochs, name: sum(one[name] for one in epochs)

    def count(what, told, place):
        epochs = groups.get(place)
        expected = None if epochs is None else rounded(
            total(epochs, "n_total"), max(one["principals"] for one in epochs))
        if told != expected:
            faults.append(f"{question['name']}, {what} of {place}: told {told}, the peers give {expected}")

    for cell in answer["cells"]:
        place = tuple(index(one, cell["dimensions"][one["name"]]) for one in question["dimensions"])
        value = cell["value"]
        compared += 1
        if value["kind"] == "histogram":
            for told in (one for one in value["bins"] if one["rows"] is not None):
                compared += 1
                count("rows", told["rows"], (*place, told["index"]))
            continue
        count("rows", cell["rows"], place)
        if value["kind"] == "count" or place not in groups:
            continue
        exact = total(groups[place], "s_total") / MICROS / total(groups[place], "n_total")
        told, low, high = value.get("mean", value.get("rate")), value["low"], value["high"]
        if not low - 1e-9 <= exact <= high + 1e-9 or abs(told - exact) > max((high - low) / 4, abs(exact) * FINEST) + 1e-9:
            faults.append(f"{question['name']}, {place}: told {told} in {low} to {high}, the peers give {exact}")
    return compared, faults


def same(one, other):
    """Whether two peers gave the same rows; floats to nine digits."""
    near = lambda a, b: a == b or None not in (a, b) and math.isclose(a, b, rel_tol=1e-9)
    return len(one) == len(other) and all(
        len(a) == len(b) and all(near(x, y) for x, y in zip(a, b)) for a, b in zip(one, other))


def ranked(values, share):
    """By nearest rank: the smallest that so many are not above."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def measure(program, folder, rounds, once, memory):
    questions = json.loads(subprocess.run([program, "questions", "--folder", folder], check=True,
                                          capture_output=True, text=True).stdout)
    ask = [program, "ask", "--folder", folder, "--threads", str(THREADS), "--memory-mib", str(memory)]
    engines, versions = {"first": Process(ask), "again": Process(ask + ["--kept", "answers"])}, {}
    for kind in PEERS:
        engines[kind] = Process([sys.executable, __file__, "--worker", kind, folder, str(memory)])
        versions[kind] = engines[kind].line()["version"]
    times, faults, compared, refused = {}, [], 0, set()
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    for number in range(rounds + 1):
        for at, question in enumerate(questions):
            # Each was asked once that counts: what is there is told.
            if stop and number > 1:
                continue
            answers = {}
            turn = (number + at) % len(KEYS)
            for key in KEYS[turn:] + KEYS[:turn]:
                if key[1] == "guarded" and once and number > 0:
                    continue
                asked = {name: question[name] for name in ("metric", "by", "where", "since")}
                if key[0] != "ours":
                    asked = {"question": question, "guarded": key[1] == "guarded"}
                engine = engines[key[1] if key[0] == "ours" else key[0]]
                if number == 0 and key[1] == "again":
                    engine.ask(asked)
                answers[key] = engine.ask(asked)
                if number == 0:
                    print(f"bench-answers: {question['name']}: {' '.join(key)} {answers[key]['seconds']:.2f} s, "
                          f"{answers[key]['peak'] / 1e6:.0f} MB", file=sys.stderr)
                kept = times.setdefault((question["name"], *key), [])
                # The first round warms up: it is compared and not counted, unless it is the only one.
                if number > 0 or rounds == 0 or once and key[1] == "guarded":
                    if not answers[key].get("refused") and not answers[key].get("failed"):
                        kept.append((answers[key]["seconds"], answers[key]["peak"]))
            if number > 0:
                continue
            for key, answer in answers.items():
                if answer.get("refused") or answer.get("failed"):
                    refused.add(f"{question['name']}, {' '.join(key)}: {answer.get('refused') or answer.get('failed')}")
            for way in ("guarded", "plain"):
                duck, house = answers[("duckdb", way)], answers[("chdb", way)]
                if not duck["failed"] and not house["failed"] and not same(duck["rows"], house["rows"]):
                    faults.append(f"{question['name']}: the peers' {way} numbers are not the same")
            if answers[("ours", "first")]["answer"] != answers[("ours", "again")]["answer"]:
                faults.append(f"{question['name']}: the kept answer is not the one that is computed")
            exact = answers[("chdb", "guarded")]
            exact = exact if answers[("duckdb", "guarded")]["failed"] else answers[("duckdb", "guarded")]
            if answers[("ours", "first")]["answer"] is not None and not exact["failed"]:
                more, wrong = disagreements(question, answers[("ours", "first")]["answer"], exact["rows"])
                compared, faults = compared + more, faults + wrong
        print(f"bench-answers: round {number} of {rounds}", file=sys.stderr)
    for one in engines.values():
        one.end()
    return questions, times, {"compared": compared, "faults": faults, "refused": sorted(refused), "versions": versions}


def report(questions, times, rounds, checked):
    rows = []
    for question in questions:
        row = {"question": question["name"]}
        for key in KEYS:
            taken = times[(question["name"], *key)]
            seconds = [one for one, _ in taken]
            # Who did not answer has no time, and is nobody to be compared with.
            row[" ".join(key)] = taken and {
                "p50": ranked(seconds, 0.5), "p99": ranked(seconds, 0.99), "peak": max(one for _, one in taken)} or None
        for way in ("guarded", "plain"):
            peers = [row[f"{kind} {way}"]["p50"] for kind in PEERS if row[f"{kind} {way}"]]
            ours = row["ours first"]
            row[f"ratio {way}"] = ours["p50"] / min(peers) if ours and peers else None
        rows.append(row)
    asked = [len(taken) for (_, who, _), taken in times.items() if who == "ours"]
    return {"rounds": min(asked), "threads": THREADS, **checked, "rows": rows}


def show(told):
    keys = [" ".join(key) for key in KEYS]
    print(f"{'seconds, p50 / p99':38}" + "".join(f"{key:>18}" for key in keys) + f"{'ratio guarded':>15}{'plain':>7}")
    for row in told["rows"]:
        cells = "".join(
            f"{row[key]['p50']:>9.3f} /{row[key]['p99']:>7.3f}" if row[key] else f"{'no answer':>18}" for key in keys)
        ratios = "".join(f"{row[name]:>{width}.2f}" if row[name] else f"{'-':>{width}}"
                         for name, width in (("ratio guarded", 15), ("ratio plain", 7)))
        print(f"{row['question']:38}{cells}{ratios}")
    print(f"{'most memory, MB':38}" + "".join(
        f"{max((row[key]['peak'] for row in told['rows'] if row[key]), default=0) / 1e6:>18.0f}" for key in keys))
    for line in told["refused"]:
        print(f"not answered: {line}")
    versions = ", ".join(f"{PEERS[kind].name} {version}" for kind, version in told["versions"].items())
    print(f"{told['rounds']} rounds, {told['threads']} threads each; {versions}; {told['compared']} groups compared. "
          "Ratio: ours over the better of the two peers, of the medians.")


def main():
    arguments = argparse.ArgumentParser(description="What an answer takes beside DuckDB and chDB.")
    arguments.add_argument("program", help="imprimatur-bench-answers")
    arguments.add_argument("folder", help="the lake")
    arguments.add_argument("--rounds", type=int, default=21, help="that count, after one that does not; 0 for that alone")
    arguments.add_argument("--guarded-once", action="store_true",
                           help="ask the peers the guarded questions, which take long, in the first round alone, and count it for them")
    arguments.add_argument("--memory-mib", type=int, default=4096, help="that each engine may take (default 4096)")
    arguments.add_argument("--json", action="store_true", help="print JSON")
    asked = arguments.parse_args()
    questions, times, checked = measure(asked.program, asked.folder, asked.rounds, asked.guarded_once, asked.memory_mib)
    told = report(questions, times, asked.rounds, checked)
    print(json.dumps(told, indent=1)) if asked.json else show(told)
    for fault in checked["faults"]:
        print(f"bench-answers: {fault}", file=sys.stderr)
    sys.exit(1 if checked["faults"] or not checked["compared"] else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:])
    else:
        main()
