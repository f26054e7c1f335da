#!/usr/bin/env python3
"""Holds the sources to the rules of the layers. Needs Python's standard library alone.

    check_layers.py [ROOT]                     the rules below, over ROOT/src and ROOT/include
    check_layers.py --symbols LIB.so [ROOT]    LIB exports what isolario.h marks with ISO_EXPORT, and keeps no global state
    check_layers.py --self-test                every rule above can fail

Prints one line a finding, `file:line: rule: what`; the exit status says whether there was an error.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# ------------------------------------------------------------------------------------------------- the rules

# What a layer may include: a folder with '/' at the end, or one header. Its own folder is always allowed.
PUBLIC = "include/isolario.h"
LAYERS = {
    "include": [],
    "base": [PUBLIC],
    "kernel": ["base/"],
    "core": ["base/", "kernel/"],
    "likelihood": ["base/", "kernel/"],
    "op": ["base/", "kernel/", "core/", "likelihood/"],
    "model": ["base/", "kernel/kernel.h", "core/", "op/", "likelihood/"],
    "train": ["base/", "kernel/kernel.h", "core/", "op/", "likelihood/", "model/", "io/dataset.h"],
    "io": ["base/"],
    "image": ["base/", "kernel/kernel.h"],
    "map": ["base/", "kernel/kernel.h", "io/dataset.h"],
    "web": ["base/", "kernel/", "core/", "op/", "likelihood/", "model/", "train/", "map/"],
    "api": [PUBLIC, "base/", "kernel/", "core/", "op/", "likelihood/", "model/", "train/", "io/", "image/", "map/", "web/"],
    "cli": [PUBLIC],
}
# Headers of other libraries: where each may be included.
THIRD_PARTY = {
    r"hdf5|H5\w*\.h": ["io"],
    r"lzf": ["io"],
    r"zlib\.h|zconf\.h": ["io"],
    r"openssl/": ["io"],
    r"dnnl|oneapi/": ["kernel"],
    r"cblas|openblas": ["kernel"],
    r"tiffio?\.h|png\.h": ["io"],
    r"igraph": ["map"],
    r"hnswlib": ["map"],
    r"jansson": ["io", "api", "model"],
    r"microhttpd": ["api"],
}
# Words that library code (all layers but cli) does not use, and what to do instead.
FORBIDDEN = {
    "print": (r"printf|vprintf|puts|putchar|perror|stdout|stderr", "the library never prints: iso_log, or iso_fail"),
    "stop": (r"exit|_exit|_Exit|quick_exit|abort|atexit|longjmp|setjmp|raise|signal", "return an iso_status"),
    "random": (r"rand|srand|rand_r|random|srandom|drand48|lrand48|mrand48", "base/rng.h"),
    "allocate": (r"malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|alloca|strdup|strndup|asprintf|"
                 r"vasprintf", "iso_calloc, iso_realloc, iso_free, iso_strdup, iso_sprintf"),
    "locale": (r"setlocale|strtok|chdir|putenv|setenv|unsetenv|umask", "it changes the state of the whole process"),
}
MAX_LINES_WARNING, MAX_LINES_ERROR = 500, 800
IFDEF_LAYERS = ["base", "kernel"]        # the layers that may use #if inside a function
SHARED_NAMES = ["table.c", "table.h"]    # names that more than one folder may have
# Exceptions: (file, rule, pattern of the finding) and why. A row that no longer matches is an error itself.
ALLOWED = [
    ("src/base/alloc.c", "allocate", r"", "the one place that allocates"),
    ("src/api/model_file.c", "allocate", r"^free\b", "text that jansson allocated"),
    ("src/api/explore.c", "allocate", r"^free\b", "text that open_memstream allocated"),
    ("src/api/explore_site.c", "allocate", r"^free\b", "text that open_memstream allocated"),
    ("src/api/run_json.c", "allocate", r"^free\b", "text that jansson allocated"),
    ("src/io/png_image.c", "stop", r"^setjmp\b", "how libpng tells of an error"),
    ("src/io/h5_trial.c", "stop", r"^_exit\b", "the end of a child process that it forked"),
]
# Data that the library may keep between calls: name and why.
ALLOWED_STATE = {
    "fail_countdown": "base/alloc.c: test hook",
    "table": "base/spill.c: arrays in files; --memory is a limit of the whole process",
    "igraph_lock": "map/leiden.c: igraph keeps state for the whole process, so one call at a time",
}

# ---------------------------------------------------------------------------------------------- reading C


def blank_comments_and_strings(text, keep_strings=False):
    """The text with comments (and contents of strings) blanked; lines stay where they are."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|R"\((?:.*?)\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        s = match.group(0)
        if s[0] in "\"'R":
            return s if keep_strings else s[0] + re.sub(r"[^\n]", " ", s[1:-1]) + s[-1]
        return re.sub(r"[^\n]", " ", s)

    return token.sub(blank, text)


def directives_in_functions(code):
    """Lines of #if, #ifdef, #ifndef inside a function body. A '{' opens a function if ')' stands before it."""
    depth, opened_by, before, continued = [], "", "", False
    for number, line in enumerate(code.split("\n"), 1):
        directive = re.match(r"\s*#\s*(\w+)", line)
        if continued or directive:
            if directive and not continued and directive.group(1) in ("if", "ifdef", "ifndef") and "function" in depth:
                yield number, directive.group(1)
            continued = line.rstrip().endswith("\\")
            continue
        for c in line:
            if c == "{":
                depth.append("function" if before == ")" else "other")
            elif c == "}" and depth:
                depth.pop()
            if not c.isspace():
                before = c


def resolve(root, file, name):
    """The file that #include "name" means, as a path below root; None if there is none."""
    for folder in (file.parent, root / "src", root / "include"):
        path = (folder / name).resolve()
        if path.is_file() and root in path.parents:
            return path.relative_to(root).as_posix()
    return None


# ---------------------------------------------------------------------------------------------- the checks


def layer_of(path):
    parts = path.split("/")
    return parts[0] if parts[0] == "include" else parts[1] if len(parts) > 2 else ""


def check_includes(root, file, path, layer, code):
    for match in re.finditer(r'^\s*#\s*include\s*(["<])([^">]+)[">]', code, re.M):
        line, quote, name = code.count("\n", 0, match.start(2)) + 1, match.group(1), match.group(2)
        third_party = [layers for pattern, layers in THIRD_PARTY.items() if re.match(pattern, name)]
        if third_party and layer not in third_party[0]:
            yield line, "third-party", f"{name} belongs to {'/, '.join(third_party[0])}/ alone"
        if quote == "<" or third_party:
            continue
        if (root / "cmake" / f"{name}.in").is_file():           # made by the build
            continue
        target = resolve(root, file, name)
        if target is None:
            yield line, "include", f'"{name}" is not a file of src/ or include/'
            continue
        short = target.removeprefix("src/")
        own = layer_of(target) == layer
        if not own and not any(short.startswith(a) if a.endswith("/") else short == a for a in LAYERS[layer]):
            yield line, "layer", f"{layer}/ must not include {short}"


def check_words(layer, code):
    if layer == "cli":
        return
    code = code.replace("format(printf", "format(      ")         # __attribute__
    for rule, (words, instead) in FORBIDDEN.items():
        for match in re.finditer(rf"(?<![\w.>])({words})\b(?=\s*[(,);])", code):
            yield code.count("\n", 0, match.start()) + 1, rule, f"{match.group(1)}: {instead}"
    for match in re.finditer(r"\bassert\s*\(([^;]*)\)\s*;", code):
        if re.search(r"\+\+|--|(?<![=<>!])=(?!=)", match.group(1)):
            yield code.count("\n", 0, match.start()) + 1, "assert", "side effect, which a build without assertions loses"


def check_file(root, file, path):
    layer = layer_of(path)
    text = file.read_text(encoding="utf-8")
    if layer not in LAYERS:
        yield 1, "layer", f"{path} is in no known layer; add it to LAYERS in scripts/check_layers.py"
        return
    code = blank_comments_and_strings(text)
    yield from check_includes(root, file, path, layer, blank_comments_and_strings(text, keep_strings=True))
    yield from check_words(layer, code)
    if layer not in IFDEF_LAYERS:
        for line, word in directives_in_functions(code):
            yield line, "ifdef", f"#{word} inside a function: choose a file or a table row"
    lines = text.count("\n")
    if lines > MAX_LINES_ERROR:
        yield lines, "length", f"{lines} lines, more than {MAX_LINES_ERROR}"
    elif lines > MAX_LINES_WARNING:
        yield lines, "long", f"{lines} lines, more than {MAX_LINES_WARNING} (warning)"


def check_tree(root, allowed=None):
    """All findings of the tree as (path, line, rule, what)."""
    root, allowed = Path(root).resolve(), ALLOWED if allowed is None else allowed
    findings, names = [], {}
    files = sorted(f for top in ("src", "include") for f in (root / top).rglob("*") if f.suffix in (".c", ".h", ".cpp", ".def"))
    if not files:
        return [(str(root), 0, "layer", "no sources here")]
    for file in files:
        path = file.relative_to(root).as_posix()
        findings += [(path, *f) for f in check_file(root, file, path)]
        if file.name in names and file.name not in SHARED_NAMES:
            findings.append((path, 1, "name", f"the same name as {names[file.name]}"))
        names.setdefault(file.name, path)
    kept, used = [], set()
    for f in findings:
        rows = [i for i, (path, rule, pattern, _) in enumerate(allowed)
                if (path, rule) == (f[0], f[2]) and re.search(pattern, f[3])]
        used.update(rows)
        if not rows:
            kept.append(f)
    for i, (path, rule, _, _) in enumerate(allowed):
        if i not in used:
            kept.append(("scripts/check_layers.py", 0, "allowed", f"the exception for {path} ({rule}) is not needed any more"))
    return kept


def nm(*arguments):
    out = subprocess.run(["nm", *arguments], check=True, capture_output=True, text=True).stdout
    return [line for line in out.split("\n") if line.strip()]


def check_symbols(library, root):
    """Exports against the header, both ways; writable data against ALLOWED_STATE."""
    header = blank_comments_and_strings((Path(root) / PUBLIC).read_text(encoding="utf-8"))
    declared = set(re.findall(r"\bISO_EXPORT\b(?!\s*(?:\n|__attribute__))[^;(]*?\b(\w+)\s*\(", header))
    exported = {line.split()[-1].split("@")[0] for line in nm("-D", "--defined-only", library)}
    exported -= {"_init", "_fini"}
    name = Path(library).name
    for symbol in sorted(declared - exported):
        yield PUBLIC, 0, "export", f"{symbol} is declared but {name} does not define it"
    for symbol in sorted(exported - declared):
        yield name, 0, "export", f"{symbol} is exported but not declared in {PUBLIC}"
    if not declared:
        yield PUBLIC, 0, "export", "declares nothing"
    for line in nm("-f", "sysv", "--defined-only", library):
        parts = [p.strip() for p in line.split("|")]
        symbol = parts[0].split(".")[0]
        runtime = symbol.startswith("_") or symbol in ("completed", "DW")         # the compiler's own
        if len(parts) == 7 and parts[6] in (".data", ".bss", ".tdata", ".tbss") and parts[3] in ("OBJECT", "TLS"):
            if not runtime and symbol not in ALLOWED_STATE:
                yield name, 0, "state", f"{symbol} in {parts[6]} lives longer than a call: make it const or part of iso_env"


# ---------------------------------------------------------------------------------------------- self-test

# For each rule: a file that breaks it, and one that comes close but does not.
BAD = [
    ("layer", "src/base/a.c", '#include "io/dataset.h"\n'),
    ("layer", "src/io/a.c", '#include "../core/graph.h"\n'),
    ("layer", "src/model/a.c", '#include "kernel/isa/isa.h"\n'),
    ("layer", "src/map/a.c", '#include "io/tensors.h"\n'),
    ("layer", "src/image/a.c", '#include "io/dataset.h"\n'),
    ("layer", "src/cli/a.c", '#include "base/base.h"\n'),
    ("layer", "src/elsewhere/a.c", "int x;\n"),
    ("include", "src/op/a.c", '#include "missing.h"\n'),
    ("third-party", "src/api/a.c", "#include <hdf5.h>\n"),
    ("third-party", "src/core/a.c", '  #  include "oneapi/dnnl/dnnl.h"\n'),
    ("third-party", "src/io/a.c", "#include <igraph/igraph.h>\n"),
    ("third-party", "src/kernel/a.c", "#include <jansson.h>\n"),
    ("print", "src/op/a.c", 'void f(void) { printf("x"); }\n'),
    ("print", "src/op/a.c", 'void f(void) { fprintf(stderr, "x"); }\n'),
    ("stop", "src/io/a.c", "void f(void) { if (x) exit (1); }\n"),
    ("random", "src/train/a.c", "int f(void) { return rand(); }\n"),
    ("allocate", "src/io/a.c", "void *f(void) { return malloc(4); }\n"),
    ("allocate", "src/io/a.c", "void f(void *p) { free(p); }\n"),
    ("allocate", "src/io/a.c", "void f(void) { on_end(x, free); }\n"),
    ("locale", "src/api/a.c", 'void f(void) { setlocale(1, "C"); }\n'),
    ("assert", "src/op/a.c", "void f(int i) { assert(i++ < 3); }\n"),
    ("assert", "src/op/a.c", "void f(int i) { assert((i = 3)); }\n"),
    ("ifdef", "src/model/a.c", "int f(int a)\n{\n#ifdef X\n    a++;\n#endif\n    return a;\n}\n"),
    ("ifdef", "src/map/a.cpp", "namespace {\nint f(int a) {\n    if (a) {\n#if X\n    a++;\n#endif\n    }\n    return a;\n}\n}\n"),
    ("length", "src/io/a.c", "int x;\n" * (MAX_LINES_ERROR + 1)),
    ("long", "src/io/a.c", "int x;\n" * (MAX_LINES_WARNING + 1)),
    ("name", "src/io/base.h", "\n"),
]
GOOD = [
    ("src/op/a.c", '#include "op.h"\n#include "core/graph.h"\n#include "likelihood/likelihood.h"\n#include <math.h>\n'),
    ("src/map/a.c", '#include "map.h"\n#include "io/dataset.h"\n#include <igraph/igraph.h>\n'),
    ("src/io/a.c", '#include <hdf5.h>\nvoid f(t *x) { x->free(x); x.free(x); iso_free(x); /* free(x) */ g("exit(1)"); }\n'),
    ("src/io/a.c", "void f(void) { assert(a == 1 && b <= 2 && c != 3); snprintf(t, 3, u); }\n"),
    ("src/model/a.c", "#ifdef X\nint f(void) { return 1; }\n#endif\nstatic const int t[] = {\n#ifdef X\n    1,\n#endif\n};\n"),
    ("src/model/a.c", "#define M(a) do { \\\n        f(a); \\\n    } while (0\nstruct s {\n#if X\n    int a;\n#endif\n};\n"),
    ("src/base/a.c", "int f(void)\n{\n#ifdef X\n    return 1;\n#endif\n    return 0;\n}\n"),
    ("src/cli/a.c", '#include "isolario.h"\nint main(void) { printf("x"); exit(free(p)); }\n'),
    ("src/op/table.c", "int x;\n"),
    ("src/api/a.c", '#include "made.h"\n'),
    ("src/base/a.c", "void f(const char *a, ...) __attribute__((format(printf, 1, 2)));\n"),
]
TREE = ["include/isolario.h", "cmake/made.h.in", "src/base/base.h", "src/io/dataset.h", "src/io/tensors.h", "src/core/graph.h", "src/kernel/kernel.h",
        "src/kernel/isa/isa.h", "src/kernel/isa/table.c", "src/likelihood/likelihood.h", "src/op/op.h", "src/map/map.h"]


def rules_found(path, text, allowed=()):
    with tempfile.TemporaryDirectory() as folder:
        for name in TREE:
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_text("\n")
        (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / path).write_text(text)
        return {rule for _, _, rule, _ in check_tree(folder, list(allowed))}


def self_test_symbols():
    """A library that lacks one function, exports one too many and keeps state."""
    with tempfile.TemporaryDirectory() as folder:
        header, source, library = (Path(folder) / n for n in (PUBLIC, "a.c", "a.so"))
        header.parent.mkdir()
        header.write_text("#define ISO_EXPORT __attribute__((x))\nISO_EXPORT int iso_here(void);\nISO_EXPORT void *iso_gone(int);\n")
        source.write_text("int iso_here(void) { return 1; }\nint iso_extra(void) { static int calls; return ++calls; }\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        found = sorted((rule, what.split()[0]) for _, _, rule, what in check_symbols(str(library), folder))
    return found == [("export", "iso_extra"), ("export", "iso_gone"), ("state", "calls")]


def self_test():
    wrong = [f"not found: {rule} in {text[:60]!r}" for rule, path, text in BAD if rules_found(path, text) != {rule}]
    wrong += [f"found in vain: {found} in {text[:60]!r}" for path, text in GOOD if (found := rules_found(path, text))]
    free = ("allocate", "src/io/a.c", "void f(void *p) { free(p); }\n")
    if rules_found(*free[1:], allowed=[("src/io/a.c", "allocate", "^free", "why")]):
        wrong.append("an exception is not heeded")
    if rules_found("src/io/a.c", "int x;\n", allowed=[("src/io/a.c", "allocate", "^free", "why")]) != {"allowed"}:
        wrong.append("an exception that is not needed is not found")
    if not self_test_symbols():
        wrong.append("symbols: not what was expected")
    for line in wrong:
        print("self-test:", line)
    print(f"self-test: {len(BAD) + len(GOOD) + 3} cases, {len(wrong)} wrong")
    return 1 if wrong else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    symbols = arguments[:1] == ["--symbols"]
    root = (arguments[2:] if symbols else arguments) or [Path(__file__).resolve().parent.parent]
    findings = list(check_symbols(arguments[1], root[0]) if symbols else check_tree(root[0]))
    for path, line, rule, what in findings:
        print(f"{path}:{line}: {rule}: {what}")
    errors = sum(rule != "long" for _, _, rule, _ in findings)
    print(f"{errors} errors, {len(findings) - errors} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
