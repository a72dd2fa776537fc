#!/bin/bash
# Contents by table, each with the codes and lines that `check` gives for it, and its exit code; and that `merge`
# comes to the same verdict.
# shellcheck disable=SC2016 # no expansion in patterns
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

H=$COLUMNS_REQUIRED
A=$COLUMNS_ALL
R=1,2,3,4,5,6,7,8,idle

codes='blank-label|duplicate-label|missing-label|extra-label|blank-row|missing-cell|extra-cell|type-error'
codes+='|constraint-error|encoding-error|stray-quote|unterminated-quote|truncated-file|row-too-long'
codes+='|too-many-columns|file-too-large|format-error|changed-file|checksum-mismatch|file-type|file-unreadable'

# found FILE: "LINE:CODE:FIELD" of each violation that the last run printed, one of a kind, in one line; a
# header's labels are left out, and what has no line has "-".
found()
{
    local line rest all=''

    while IFS= read -r line; do
        [[ $line == "$1:"* ]] || continue
        rest=${line#"$1:"}
        if [[ $rest =~ ^([0-9]+):\ ($codes):\ (([A-Za-z_]+):\ )? ]]; then
            all+="${BASH_REMATCH[1]}:${BASH_REMATCH[2]}"
            [[ ${BASH_REMATCH[2]} != *-error || -z ${BASH_REMATCH[4]} ]] || all+=":${BASH_REMATCH[4]}"
            all+=$'\n'
        elif [[ $rest =~ ^\ ($codes):\  ]]; then
            all+="-:${BASH_REMATCH[1]}"$'\n'
        fi
    done <<<"$OUT"
    sort -u <<<"$all" | awk 'NF { printf "%s%s", (n++ ? " " : ""), $0 }'
}

names=() wants=() founds=()

# try NAME WANT CONTENT: check of CONTENT (printf's %b) prints WANT (a glob; empty: valid) and exits 0 or 1.
try()
{
    local file=$SITE/$1.csv got code=0

    printf '%b' "$3" >"$file"
    [[ -z $2 ]] || code=1
    run cli check "$file"
    got=$(found "$file")
    # shellcheck disable=SC2053 # a glob
    if [[ $got == $2 ]] && ((CODE == code)); then
        pass "$1: ${2:-valid}"
    else
        fail "$1: ${2:-valid}" "got '$got', exit $CODE"$'\n'"$OUT"$'\n'"$ERR"
    fi
    names+=("$1")
    wants+=("$2")
    founds+=("$got")
}

# try_number NAME WANT VALUE: VALUE as timestamp (at least 0), in line 3.
try_number() { try "$1" "${2:+3:$2:timestamp}" "$H\n$R\n$3,2,3,4,5,6,7,8,idle\n"; }

# try_percent NAME WANT VALUE: VALUE as cpu_percent (0 to 100), in line 2.
try_percent() { try "$1" "${2:+2:$2:cpu_percent}" "$H\n1,$3,3,4,5,6,7,8,idle\n$R\n"; }

# try_meta NAME WANT USER SOURCE LABEL TIME: check a file with these metadata cells in line 2.
try_meta() { try "$1" "${2:+2:$2}" "$A\n$R,$3,$4,$5,$6\n"; }

site codes

# --- What is valid
try plain '' "$H\n$R\n$R\n"
try crlf '' "$H\r\n$R\r\n$R\r\n"
try mixed-line-ends '' "$H\r\n$R\n$R\r\n"
try bom '' "\xef\xbb\xbf$H\n$R\n"
try bom-quoted-header '' "\xef\xbb\xbf\"timestamp\"${H#timestamp}\n$R\n"
try no-final-newline '' "$H\n$R\n$R"
try no-final-newline-quoted '' "$H\n1,2,3,4,5,6,7,8,\"idle\""
try quoted-cells '' "$H\n\"1\",\"2\",3,4,5,6,7,8,\"idle\"\n"
try other-order '' "phase,network_recv_mb,network_sent_mb,disk_write_mb,disk_read_mb,memory_used_gb,memory_percent,cpu_percent,timestamp\nidle,8,7,6,5,4,3,2,1\n"
try all-columns '' "$A\n$R,u1,web,normal,2024-01-01T12:00:00\n"
try one-metadata-column '' "$H,label\n$R,anomaly\n"
try empty-metadata '' "$A\n$R,,,,\n"
try blank-lines-at-the-end '' "$H\n$R\n\n\n"

# --- Header
try blank-label '1:blank-label' "$H,\n$R,9\n"
try blank-label-quoted '1:blank-label' "$H,\"\"\n$R,9\n"
try duplicate-label '1:duplicate-label' "$H,phase\n$R,idle\n"
try missing-label '1:missing-label' "${H%,phase}\n1,2,3,4,5,6,7,8\n"
try extra-label '1:extra-label' "$H,gpu\n$R,9\n"
try other-case '1:extra-label 1:missing-label' "Timestamp${H#timestamp}\n$R\n"
try blank-before-label '1:extra-label 1:missing-label' "${H/,cpu/, cpu}\n$R\n"
try semicolons '1:extra-label 1:missing-label' "${H//,/;}\n${R//,/;}\n"
try no-header '1:extra-label 1:missing-label' "$R\n${R/1/9}\n"

# --- Rows
try blank-row '3:blank-row' "$H\n$R\n\n$R\n"
try blank-rows '3:blank-row 4:blank-row' "$H\n$R\n\n\n$R\n"
try blank-row-crlf '3:blank-row' "$H\r\n$R\r\n\r\n$R\r\n"
try missing-cell '3:missing-cell*' "$H\n$R\n1,2,3\n"
try extra-cell '2:extra-cell*' "$H\n$R,9\n$R\n"
try trailing-comma '2:extra-cell*' "$H\n$R,\n"
try several '2:type-error:timestamp 3:constraint-error:phase 3:type-error:cpu_percent' \
    "$H\nx,2,3,4,5,6,7,8,idle\n1,x,3,4,5,6,7,8,asleep\n"

# --- Numbers
for good in 0 -0 0.0 -0.00e9 1e3 1E-2 1e+2 12345678901234567890.12345678901234567890 1e400 007; do
    try_number "number $good" '' "$good"
done
for bad in x 1. .5 +5 ' 5' '5 ' 1e 0x10 NaN nan inf -Infinity '"1,5"' '"1.000,5"' 1_000 1e5.5 --1 '1 000' 5% '"5\n"'; do
    try_number "number ${bad//[\"\\]/_}" type-error "$bad"
done
try_number "full-width-digit" type-error '\xef\xbc\x95'
try_number "empty" constraint-error ''
try_number "quoted-empty" constraint-error '""'
try_number "below" constraint-error -1
try_number "just-below" constraint-error -0.00000000000000000000000000000000000001
try_number "below-by-an-underflow" constraint-error -1e-5000
try_percent "at-maximum" '' 100
try_percent "at-maximum-written-long" '' 100.000000000000000000000
try_percent "at-maximum-with-exponent" '' 1e2
try_percent "at-maximum-with-negative-exponent" '' 10000000000e-8
try_percent "above" constraint-error 105.2
try_percent "just-above" constraint-error 100.0000000000000000000000000000001
try_percent "above-with-exponent" constraint-error 1.00001E2
try_percent "far-above" constraint-error 1e999999999
run cli check "$SITE/above.csv"
has "$OUT" 'above\.csv:2: constraint-error: cpu_percent: 105\.2 is above maximum 100' "the message has value and rule"

# --- Words and metadata
try phase-unknown '2:constraint-error:phase' "$H\n1,2,3,4,5,6,7,8,asleep\n"
try phase-upper-case '2:constraint-error:phase' "$H\n1,2,3,4,5,6,7,8,IDLE\n"
try phase-blank '2:constraint-error:phase' "$H\n1,2,3,4,5,6,7,8,idle \n"
try phase-empty '2:constraint-error:phase' "$H\n1,2,3,4,5,6,7,8,\n"
u64=$(printf 'u%.0s' {1..64})
try_meta user-64 '' "$u64" web normal ''
try_meta user-65 constraint-error:user_id "${u64}u" web normal ''
try_meta user-blank constraint-error:user_id 'a b' web normal ''
try_meta user-path constraint-error:user_id '../etc' web normal ''
try_meta source-unknown constraint-error:source u1 radio normal ''
try_meta label-blank constraint-error:label u1 web 'not normal' ''
for good in 2024-01-01T12:00:00 2024-01-01T12:00:00Z 2024-01-01T12:00:00.123456 2024-01-01T12:00:00.5+02:00 \
    2024-02-29T23:59:59; do
    try_meta "time $good" '' u1 web normal "$good"
done
for bad in yesterday 2024-13-01T00:00:00 2024-02-30T00:00:00 2023-02-29T00:00:00 2024-01-01T25:00:00 \
    20240101_120000 '2024-01-01T12:00:00 '; do
    try_meta "time $bad" type-error:collection_timestamp u1 web normal "$bad"
done

# --- Bytes
try nul-in-cell '3:encoding-error*' "$H\n$R\n1,2\0,3,4,5,6,7,8,idle\n"
try nul-in-header '1:encoding-error*' "time\0stamp${H#timestamp}\n$R\n"
try nul-tail '3:encoding-error*' "$H\n$R\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
try nul-tail-in-row '3:encoding-error*' "$H\n$R\n1,2,3\0\0\0\0\0\0\0\0"
try latin-1 '2:encoding-error*' "$H,label\n$R,caf\xe9\n"
try overlong '2:encoding-error*' "$H,label\n$R,\xc0\xaf\n"
try surrogate '2:encoding-error*' "$H,label\n$R,\xed\xa0\x80\n"
try cut-sequence '2:encoding-error*' "$H,label\n$R,x\xc3\n$R,x\n"
try lone-cr '2:encoding-error*' "$H\n$R\r$R\n"
try cr-only '1:encoding-error*' "$H\r$R\r$R\r"
utf16=$(printf '%s\n%s\n' "$H" "$R" | sed 's/./&\\x00/g;s/$/\\n\\x00/' | tr -d '\n')
try utf-16-le '?:encoding-error*' "\xff\xfe$utf16"
try utf-16-be '?:encoding-error*' "\xfe\xff\x00${utf16%\\x00}"
try utf-16-without-bom '?:encoding-error*' "$utf16"
run cli check "$SITE/latin-1.csv"
at=$(printf '%s\n%s,caf' "$H,label" "$R" | wc -c)
has "$OUT" "\\b($at|$((at + 1)))\\b" "an encoding-error tells the byte"

# --- Quotes, and the lines that an editor shows
try stray-quote '2:stray-quote' "$H\n1,2\"3,3,4,5,6,7,8,idle\n"
try text-after-quote '3:stray-quote' "$H\n$R\n\"1\"x,2,3,4,5,6,7,8,idle\n$R\n"
try blank-after-quote '2:stray-quote' "$H\n\"1\" ,2,3,4,5,6,7,8,idle\n"
try backslash-quote '2:stray-quote' "$H,label\n$R,\"a\\\\\"b\"\n"
try stray-quote-crlf '3:stray-quote' "$H\r\n$R\r\n1,2\"3,3,4,5,6,7,8,idle\r\n"
try stray-quote-in-header '1:stray-quote*' "time\"stamp${H#timestamp}\n$R\n"
try unterminated-quote '3:unterminated-quote' "$H\n$R\n1,2,3,4,5,6,7,8,\"idle\n$R\n$R\n"
try unterminated-after-breaks '2:constraint-error:label 5:unterminated-quote' \
    "$H,label\n$R,\"x\n\n\"\n$R,\"y\n$R,z\n"
try quoted-break '2:constraint-error:label' "$H,label\n$R,\"two\nlines\"\n$R,x\n"
try line-after-break '2:constraint-error:label 5:type-error:timestamp' \
    "$H,label\n$R,\"two\n\nlines\"\nx,2,3,4,5,6,7,8,idle,y\n"
try line-after-break-crlf '2:constraint-error:label 4:type-error:timestamp' \
    "$H,label\r\n$R,\"two\r\nlines\"\r\nx,2,3,4,5,6,7,8,idle,y\r\n"
try break-in-header '1:extra-label 3:type-error:timestamp' "$H,\"a\nb\"\nx,2,3,4,5,6,7,8,idle,y\n"

# --- Cut
try cut-row '3:truncated-file' "$H\n$R\n1,2,3"
try cut-word '3:truncated-file' "$H\n$R\n1,2,3,4,5,6,7,8,cpu_bo"
try cut-after-comma '3:truncated-file' "$H\n$R\n1,2,3,4,5,6,7,8,"
try cut-and-bad '2:type-error:timestamp 3:truncated-file' "$H\nx,2,3,4,5,6,7,8,idle\n1,2,3"

# --- Other kinds of content
try gzip '?:format-error' '\x1f\x8b\x08\0\0\0\0\0\0\x03KLJ\0\xc2A$5\x03\0\0\0'
try zip '?:format-error' 'PK\x03\x04\x14\0\0\0\0\0'
try xls '?:format-error' '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0'
try parquet '?:format-error' 'PAR1\x15\x04\x15\0PAR1'

# --- The same verdict by merge: all of them in one drop directory.
for i in "${!names[@]}"; do
    cp "$SITE/${names[i]}.csv" "$DROP/case$i.csv"
done
exits 1 "merge of all of them" cli merge
different=''
for i in "${!names[@]}"; do
    verdict=$(verdicts "case$i.csv")
    case ${wants[i]}/$verdict in
    /merged | /duplicate | ?*/quarantined) ;;
    ?:truncated-file/) ;; # waits: it may still be growing
    *) different+="${names[i]}: check says '${wants[i]}', merge '$verdict'"$'\n' ;;
    esac
done
is "$different" '' "merge comes to the verdict of check on each of ${#names[@]} contents"

# The list in quarantine has the same lines and codes as check prints.
cat >"$SITE/lists.py" <<'END'
import csv, os, sys
for number, line in enumerate(sys.stdin):
    name, _, said = line.rstrip("\n").partition("\t")
    said = {tuple(word.split(":")[:2]) for word in said.split()}
    path = "%s/case%d.csv.errors.csv" % (sys.argv[1], number)
    if os.path.exists(path):
        with open(path, newline="", encoding="utf-8") as file:
            listed = {(row[0] or "-", row[3]) for row in list(csv.reader(file))[1:]}
        if said != listed:
            print(name, "check:", sorted(said), "list:", sorted(listed))
END
is "$(paste <(printf '%s\n' "${names[@]}") <(printf '%s\n' "${founds[@]}") |
    python3 "$SITE/lists.py" "$DATA/quarantine" 2>&1)" '' "the lists in quarantine say what check says"

# --- Limits
site limits max_row_kib=1 max_columns=12 max_file_mib=1
try columns-at-limit '' "$H,user_id,source,label\n$R,u1,web,normal\n"
try too-many-columns '1:too-many-columns*' "$A\n$R,u1,web,normal,\n"
try row-too-long '3:row-too-long*' "$H,label\n$R,x\n$R,$(printf 'x%.0s' {1..1100})\n"
try long-quoted-row '2:row-too-long*' "$H,label\n$R,\"$(printf 'x\\n%.0s' {1..1100})\"\n"
{
    echo "$H"
    yes "$R" | head -n 50000
} >"$SITE/large.csv"
exits 1 "a file above max_file_mib" cli check "$SITE/large.csv"
is "$(found "$SITE/large.csv")" "-:file-too-large" "file-too-large"

# --- What is no readable file
site files
mkdir "$SITE/dir.csv"
mkfifo "$SITE/fifo.csv"
echo "$H" >"$SITE/target"
ln -s target "$SITE/link.csv"
for name in dir fifo link; do
    exits 1 "check of a $name exits 1" timeout "$WAIT" "$CLI" -c "$INI" "${ALLOW_ROOT[@]}" check "$SITE/$name.csv"
    is "$(found "$SITE/$name.csv")" "-:file-type" "$name: file-type"
done
printf '%s\n%s\n' "$H" "$R" >"$SITE/closed.csv"
chmod 000 "$SITE/closed.csv"
as_root && publish_programs && AS_USER=nobody
exits 1 "check of a file without permission exits 1" as_user "$CLI" -c "$INI" check "$SITE/closed.csv"
AS_USER=''
is "$(found "$SITE/closed.csv")" "-:file-unreadable" "file-unreadable"
exits 66 "check of a file that is not there exits 66" cli check "$SITE/nothing.csv"

# --- Another schema
site schema
cat >"$SITE/schema.ini" <<'END'
[schema]
name = orders
extra_fields = drop
[field.1]
name = id
type = integer
required = true
minimum = 1
[field.2]
name = flag
type = boolean
[field.3]
name = day
type = date
minimum = 2024-01-01
maximum = 2024-12-31
[field.4]
name = when
type = datetime
format = %d/%m/%Y %H:%M
[field.5]
name = code
type = string
pattern = [A-Z]{2}[0-9]+|none
[field.6]
name = Note
minLength = 2
maxLength = 6
[field.7]
name = value
type = number
missingValues = NA|-
maximum = 10
END
S=id,flag,day,when,code,Note,value
try schema-valid '' "$S\n1,true,2024-02-29,31/12/2024 23:59,AB12,note,1.5\n"
try schema-empty '' "$S\n1,,,,,,\n"
try schema-few-columns '' "id\n1\n2\n"
try schema-extra-dropped '' "extra,$S\nx,1,false,,,,,\n"
try integer-large '' "id\n123456789012345678901234567890\n"
try integer-fraction '2:type-error:id' "id\n1.0\n"
try integer-exponent '2:type-error:id' "id\n1e3\n"
try integer-below '2:constraint-error:id' "id\n0\n"
try integer-empty '2:constraint-error:id' "id,code\n,none\n"
try boolean-other '2:type-error:flag' "id,flag\n1,perhaps\n"
try date-impossible '2:type-error:day' "id,day\n1,2024-02-30\n"
try date-with-time '2:type-error:day' "id,day\n1,2024-02-03T00:00:00\n"
try date-below '2:constraint-error:day' "id,day\n1,2023-12-31\n"
try date-above '2:constraint-error:day' "id,day\n1,2025-01-01\n"
try format-other '2:type-error:when' "id,when\n1,2024-12-31T23:59:00\n"
try format-with-rest '2:type-error:when' "id,when\n1,31/12/2024 23:59h\n"
try pattern-within '2:constraint-error:code' "id,code\n1,xAB12\n"
try pattern-second-branch '2:constraint-error:code' "id,code\n1,nonesuch\n"
try length-code-points '' "id,Note\n1,\xc3\xa9\xc3\xa9\n2,\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\n"
try length-short '2:constraint-error:Note' "id,Note\n1,\xc3\xa9\n"
try length-long '2:constraint-error:Note' "id,Note\n1,\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\n"
try missing-value '' "id,value\n1,NA\n2,-\n3,\n"
try missing-value-other '2:type-error:value' "id,value\n1,N/A\n"
try field-case '1:missing-label' "ID\n1\n"

# --- Cells as they came
cat >"$SITE/schema.ini" <<'END'
[schema]
name = cells
[field.1]
name = a
[field.2]
name = b
END
printf 'b,a\n"x,y","say ""hi"""\n"two\nlines","cr\r\nlf"\n"needless",plain\n blanks , kept \n\xc3\xa9,=1+1\n,""\n"tab\tin",-\n' \
    >"$DROP/cells.csv"
exits 0 "cells of all kinds are valid" cli check "$DROP/cells.csv"
exits 0 "and merge" cli merge
printf 'a,b\n"say ""hi""","x,y"\n"cr\r\nlf","two\nlines"\nplain,needless\n kept , blanks \n=1+1,\xc3\xa9\n,\n-,tab\tin\n' \
    >"$SITE/want"
check "byte for byte, quoted only where they must be" same_bytes "$DATA/training_data.csv" "$SITE/want"

finish
