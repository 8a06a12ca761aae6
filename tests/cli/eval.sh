#!/bin/sh
# SPDX-License-Identifier: MIT
# crayon eval: tasks, their wires, figures, items that fail. The task is task-panoptic.
# shellcheck disable=SC2154,SC2016 # top_srcdir and top_builddir come from tests/Makefile.inc; eval
. "$top_srcdir/tests/cli/command-lib.sh"
needs task-panoptic segment-coco-png segment-grid

scene=$top_srcdir/pipelines/scene
truth=annotations=$scene/panoptic_scene.json

crayon eval task-panoptic --set "$truth" --set "predictions=$scene/panoptic_scene.json"
ok "a data set against itself is perfect" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
    holds "$out" "all      100.00  100.00  100.00       21" && holds "$out" "quality    PQ %    SQ %    RQ %  classes"'

crayon eval --json task-panoptic --set "$truth" --set "predictions=$scene/panoptic_scene.json"
ok "--json" eval '[ $status = 0 ] && [ ! -s "$err" ] && json "$out" &&
    holds "$out" "\"task\":\"task-panoptic\",\"pipeline\":null,\"items\":1,\"scored\":1,\"cancelled\":false" &&
    holds "$out" "\"failed\":[],\"tables\":{\"quality\":{\"all\":{\"PQ\":1,\"SQ\":1,\"RQ\":1,\"classes\":21}"'

# The pipeline's own annotation is the truth, whole.
cat >same.json <<END
{ "crayon": 1, "inputs": { "photo": "image" },
  "stages": { "segment": { "use": "segment-coco-png", "annotations": "$scene/panoptic_scene.json",
                           "in": { "image": "@photo" } } },
  "outputs": { "map": "segment.panoptic" } }
END
crayon eval task-panoptic --set "$truth" --set "images=$scene" --pipeline same.json
ok "a pipeline, wired by type" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
    holds "$out" "all      100.00  100.00  100.00       21"'
crayon eval task-panoptic --set "$truth" --set "images=$scene" --pipeline same.json \
    --set segment.use=segment-grid --quiet
ok "regions without names match nothing" eval '[ $status = 0 ] && [ ! -s "$err" ] &&
    holds "$out" "all      0.00  0.00  0.00       21"'
crayon eval task-panoptic --set "$truth" --set "images=$scene" --pipeline same.json \
    --set segment.use=segment-grid
ok "which is said" holds "$err" "crayon: warning: task-panoptic: predicted segments of no class that"

# Four pictures of 4 x 1 pixels, of which two cannot be scored: PNGs of one segment (id 1) or two (1, 2).
if [ -x /usr/bin/python3 ]; then
    /usr/bin/python3 - <<'END'
import json, os, struct, zlib
def png(path, ids):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"\0" + b"".join(bytes((i, 0, 0)) for i in ids)
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", len(ids), 1, 8, 2, 0, 0, 0))
                           + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
classes = [{"id": 7, "name": "cat", "isthing": 1}, {"id": 9, "name": "sky", "isthing": 0}]
def data_set(name, pictures):
    os.makedirs(name, exist_ok=True)
    notes = []
    for number, (ids, segments) in pictures.items():
        png("%s/%d.png" % (name, number), ids)
        notes.append({"image_id": number, "file_name": "%d.png" % number, "segments_info":
                      [{"id": i, "category_id": c, "iscrowd": 0} for i, c in segments]})
    json.dump({"images": [{"id": n, "file_name": "photo%d.jpg" % n} for n in pictures],
               "annotations": notes, "categories": classes}, open(name + ".json", "w"))
data_set("truth", {1: ([1, 1, 1, 2], [(1, 7), (2, 9)]), 2: ([1, 1, 1, 1], [(1, 9)]),
                   3: ([1, 1, 1, 1], [(1, 7)]), 4: ([1, 1, 1, 1], [(1, 7)])})
data_set("mine", {1: ([5, 5, 5, 5], [(5, 7)]), 2: ([3, 3, 3, 0], [(3, 9)]), 3: ([1, 1, 1, 4], [(1, 7)])})
END
    crayon eval task-panoptic --set annotations=truth.json --set predictions=mine.json --threads 3
    ok "figures of what could be scored; the rest by name, status 1" eval '[ $status = 1 ] &&
        holds "$err" "crayon: error: photo3.jpg: mine.json: segment 4 has pixels in the prediction, and is not listed" &&
        holds "$err" "crayon: error: photo4.jpg: mine.json: no prediction for image 4" &&
        holds "$err" "crayon: error: 2 of 4 items failed; the figures leave them out"'
    sed -n '/^classes/,$p' "$out" >classes.txt
    ok "and the figures by hand" eval '[ "$(cat classes.txt)" = "classes   PQ %   SQ %    RQ %  TP  FP  FN
cat      75.00  75.00  100.00   1   0   0
sky      50.00  75.00   66.67   1   0   1" ] && holds "$out" "all      62.50  75.00   83.33        2"'
    crayon eval task-panoptic --set annotations=truth.json --set predictions=mine.json --limit 2 --json
    ok "--limit" eval '[ $status = 0 ] && json "$out" && holds "$out" "\"items\":2,\"scored\":2," &&
        holds "$out" "\"cat\":{\"PQ\":0.75,\"SQ\":0.75,\"RQ\":1,\"TP\":1,\"FP\":0,\"FN\":0}"'
    crayon eval task-panoptic --set annotations=truth.json --set predictions=mine.json --json
    ok "failures in JSON" eval '[ $status = 1 ] && json "$out" &&
        holds "$out" "{\"item\":3,\"name\":\"photo4.jpg\",\"error\":\"mine.json: no prediction for image 4\"}"'
else
    skip "figures of what could be scored" "python3 makes the pictures"
fi

# ---- Mistakes, before anything is opened ----

crayon eval task-panoptic --set annotatoins=x --set images=3
ok "options: all mistakes at once" fails 1 'crayon: error: --set: annotatoins: no option "annotatoins" (task-panoptic); did you mean "annotations"? Known options: annotations, masks, predictions, prediction_masks, images
crayon: error: --set: images: a path is needed here, not a number (task-panoptic)
crayon: error: --set: annotations: the option is missing (task-panoptic): a path; the JSON file of the annotations'
crayon eval task-panoptic --set annotations=absent.json
ok "nothing to score" fails 1 'crayon: error: --set: predictions: what is to be scored? Set this to the predictions'"'"' JSON file, or name a pipeline (task-panoptic)'
crayon eval task-panoptic --set annotations=absent.json --set predictions=absent.json
ok "a file that is not there" eval '[ $status = 1 ] && holds "$err" "crayon: error: task-panoptic: absent.json"'
crayon eval task-panoptic --set "$truth" --pipeline "$top_srcdir/pipelines/objects.json"
ok "a pipeline without an answer" eval '[ $status = 1 ] && holds "$err" "has no output \"panoptic\"" &&
    holds "$err" "objects (text), semantic (tensor)"'
crayon eval segment-grid
ok "a stage is no task" eval '[ $status = 1 ] && holds "$err" "segment-grid: this is a stage of pipelines and no task; did you mean \"task-panoptic\"" ||
    holds "$err" "segment-grid: this is a stage of pipelines and no task; known tasks: task-panoptic"'
crayon eval task-panoptic --set a.b=1
ok "changes of no pipeline" misused eval "--set a.b=1 is about a pipeline: --pipeline FILE is needed"
crayon eval task-panoptic --limit 0
ok "--limit 0" misused eval "--limit 0 leaves nothing to do; leave it out for all items"
plan
