#!/usr/bin/env python3
"""Check three rules of style; print every offence and exit 1 if there is one.

- A comment begins with the thing it describes or, for a function, with a verb. No comment begins with a pronoun or a
  relative clause: a reader cannot know what "it" or "what is met" stands for.
- A static name of file scope stands in one module only, so that a search for it has one answer.
- A man page has at most 500 lines.
"""
import collections
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PRONOUN = re.compile(r"(it|its|they|them|these|those|that|what|whatever|whoever|who|whose|which|others?|another|one|ones|some|"
                     r"none|both|all|each|as|behind|of|where|nothing|something|so many)\b", re.I)
STATIC = re.compile(r"static (?!_assert|assert)(?:[\w*]+[ *]+)*?\*?(\w+)(?:\(|\[| =|;)")
MAN_LINES = 500


def c_comments(text):
    """Yield the line number and the words of each comment of a C file."""
    for match in re.finditer(r"/\*(.*?)\*/|//(.*)", text, re.S):
        words = re.sub(r"\s+", " ", re.sub(r"\n\s*\*", " ", match[1] or match[2] or "").strip(" *-\n\t"))
        yield text.count("\n", 0, match.start()) + 1, words


def script_comments(text):
    """Yield the line number and the words of each block of comment lines of a shell script, without "function ARGUMENTS: "."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if re.match(r"\s*# ", line) and not (number > 1 and re.match(r"\s*#", lines[number - 2])):
            words = re.sub(r"^(?:[\w-]+(?: (?:[A-Z\[(…|][^ :]*|…))*|\w+(?:\|\w+)+): ", "", line.strip(" \t#"))
            yield number, words


def pronouns():
    """Yield the comments that begin with a pronoun or a relative clause."""
    kinds = [("src/**/*.[ch]", c_comments), ("tests/**/*.[ch]", c_comments), ("tests/**/*.sh", script_comments)]
    for pattern, comments in kinds:
        for path in sorted(TOP.glob(pattern)):
            for line, words in comments(path.read_text(errors="replace")):
                if len(words.split()) >= 4 and PRONOUN.match(words):
                    yield "%s:%d: a comment begins with a pronoun: %s" % (path.relative_to(TOP), line, words[:90])


def shared_statics():
    """Yield the static names that stand in more than one module."""
    places = collections.defaultdict(set)
    for path in sorted(TOP.glob("src/**/*.c")):
        for line in path.read_text(errors="replace").splitlines():
            match = STATIC.match(line)
            if match:
                places[match[1]].add("%s" % path.relative_to(TOP))
    for name, paths in sorted(places.items()):
        if len(paths) > 1:
            yield "static %s stands in %s" % (name, " and ".join(sorted(paths)))


def long_pages():
    """Yield the man pages that are too long."""
    for path in sorted(TOP.glob("man/*")):
        lines = path.read_text(errors="replace").count("\n")
        if lines > MAN_LINES:
            yield "%s has %d lines: two pages?" % (path.relative_to(TOP), lines)


def main():
    offences = [*pronouns(), *shared_statics(), *long_pages()]
    for offence in offences:
        print("lint: " + offence)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
