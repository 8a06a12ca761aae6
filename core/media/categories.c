/* SPDX-License-Identifier: MIT */
/* The categories of COCO's panoptic annotations: facts (id, name, kind, colour, group) from
 * panoptic_coco_categories.json of cocodataset/panopticapi, in its order. tests/unit/categories.c
 * checks the short names against their rule. */
#include <string.h>

#include <crayon/panoptic.h>

#include "media/categories.h"

#define THING true
#define STUFF false

static const struct {
    struct cr_category category;
    const char *supercategory;
} table[CR_COCO_LABELS] = {
    {{1, "person", "person", THING, {220, 20, 60}}, "person"},
    {{2, "bicycle", "bicycle", THING, {119, 11, 32}}, "vehicle"},
    {{3, "car", "car", THING, {0, 0, 142}}, "vehicle"},
    {{4, "motorcycle", "motorcycle", THING, {0, 0, 230}}, "vehicle"},
    {{5, "airplane", "airplane", THING, {106, 0, 228}}, "vehicle"},
    {{6, "bus", "bus", THING, {0, 60, 100}}, "vehicle"},
    {{7, "train", "train", THING, {0, 80, 100}}, "vehicle"},
    {{8, "truck", "truck", THING, {0, 0, 70}}, "vehicle"},
    {{9, "boat", "boat", THING, {0, 0, 192}}, "vehicle"},
    {{10, "traffic light", "traffic light", THING, {250, 170, 30}}, "outdoor"},
    {{11, "fire hydrant", "fire hydrant", THING, {100, 170, 30}}, "outdoor"},
    {{13, "stop sign", "stop sign", THING, {220, 220, 0}}, "outdoor"},
    {{14, "parking meter", "parking meter", THING, {175, 116, 175}}, "outdoor"},
    {{15, "bench", "bench", THING, {250, 0, 30}}, "outdoor"},
    {{16, "bird", "bird", THING, {165, 42, 42}}, "animal"},
    {{17, "cat", "cat", THING, {255, 77, 255}}, "animal"},
    {{18, "dog", "dog", THING, {0, 226, 252}}, "animal"},
    {{19, "horse", "horse", THING, {182, 182, 255}}, "animal"},
    {{20, "sheep", "sheep", THING, {0, 82, 0}}, "animal"},
    {{21, "cow", "cow", THING, {120, 166, 157}}, "animal"},
    {{22, "elephant", "elephant", THING, {110, 76, 0}}, "animal"},
    {{23, "bear", "bear", THING, {174, 57, 255}}, "animal"},
    {{24, "zebra", "zebra", THING, {199, 100, 0}}, "animal"},
    {{25, "giraffe", "giraffe", THING, {72, 0, 118}}, "animal"},
    {{27, "backpack", "backpack", THING, {255, 179, 240}}, "accessory"},
    {{28, "umbrella", "umbrella", THING, {0, 125, 92}}, "accessory"},
    {{31, "handbag", "handbag", THING, {209, 0, 151}}, "accessory"},
    {{32, "tie", "tie", THING, {188, 208, 182}}, "accessory"},
    {{33, "suitcase", "suitcase", THING, {0, 220, 176}}, "accessory"},
    {{34, "frisbee", "frisbee", THING, {255, 99, 164}}, "sports"},
    {{35, "skis", "skis", THING, {92, 0, 73}}, "sports"},
    {{36, "snowboard", "snowboard", THING, {133, 129, 255}}, "sports"},
    {{37, "sports ball", "sports ball", THING, {78, 180, 255}}, "sports"},
    {{38, "kite", "kite", THING, {0, 228, 0}}, "sports"},
    {{39, "baseball bat", "baseball bat", THING, {174, 255, 243}}, "sports"},
    {{40, "baseball glove", "baseball glove", THING, {45, 89, 255}}, "sports"},
    {{41, "skateboard", "skateboard", THING, {134, 134, 103}}, "sports"},
    {{42, "surfboard", "surfboard", THING, {145, 148, 174}}, "sports"},
    {{43, "tennis racket", "tennis racket", THING, {255, 208, 186}}, "sports"},
    {{44, "bottle", "bottle", THING, {197, 226, 255}}, "kitchen"},
    {{46, "wine glass", "wine glass", THING, {171, 134, 1}}, "kitchen"},
    {{47, "cup", "cup", THING, {109, 63, 54}}, "kitchen"},
    {{48, "fork", "fork", THING, {207, 138, 255}}, "kitchen"},
    {{49, "knife", "knife", THING, {151, 0, 95}}, "kitchen"},
    {{50, "spoon", "spoon", THING, {9, 80, 61}}, "kitchen"},
    {{51, "bowl", "bowl", THING, {84, 105, 51}}, "kitchen"},
    {{52, "banana", "banana", THING, {74, 65, 105}}, "food"},
    {{53, "apple", "apple", THING, {166, 196, 102}}, "food"},
    {{54, "sandwich", "sandwich", THING, {208, 195, 210}}, "food"},
    {{55, "orange", "orange", THING, {255, 109, 65}}, "food"},
    {{56, "broccoli", "broccoli", THING, {0, 143, 149}}, "food"},
    {{57, "carrot", "carrot", THING, {179, 0, 194}}, "food"},
    {{58, "hot dog", "hot dog", THING, {209, 99, 106}}, "food"},
    {{59, "pizza", "pizza", THING, {5, 121, 0}}, "food"},
    {{60, "donut", "donut", THING, {227, 255, 205}}, "food"},
    {{61, "cake", "cake", THING, {147, 186, 208}}, "food"},
    {{62, "chair", "chair", THING, {153, 69, 1}}, "furniture"},
    {{63, "couch", "couch", THING, {3, 95, 161}}, "furniture"},
    {{64, "potted plant", "potted plant", THING, {163, 255, 0}}, "furniture"},
    {{65, "bed", "bed", THING, {119, 0, 170}}, "furniture"},
    {{67, "dining table", "dining table", THING, {0, 182, 199}}, "furniture"},
    {{70, "toilet", "toilet", THING, {0, 165, 120}}, "furniture"},
    {{72, "tv", "tv", THING, {183, 130, 88}}, "electronic"},
    {{73, "laptop", "laptop", THING, {95, 32, 0}}, "electronic"},
    {{74, "mouse", "mouse", THING, {130, 114, 135}}, "electronic"},
    {{75, "remote", "remote", THING, {110, 129, 133}}, "electronic"},
    {{76, "keyboard", "keyboard", THING, {166, 74, 118}}, "electronic"},
    {{77, "cell phone", "cell phone", THING, {219, 142, 185}}, "electronic"},
    {{78, "microwave", "microwave", THING, {79, 210, 114}}, "appliance"},
    {{79, "oven", "oven", THING, {178, 90, 62}}, "appliance"},
    {{80, "toaster", "toaster", THING, {65, 70, 15}}, "appliance"},
    {{81, "sink", "sink", THING, {127, 167, 115}}, "appliance"},
    {{82, "refrigerator", "refrigerator", THING, {59, 105, 106}}, "appliance"},
    {{84, "book", "book", THING, {142, 108, 45}}, "indoor"},
    {{85, "clock", "clock", THING, {196, 172, 0}}, "indoor"},
    {{86, "vase", "vase", THING, {95, 54, 80}}, "indoor"},
    {{87, "scissors", "scissors", THING, {128, 76, 255}}, "indoor"},
    {{88, "teddy bear", "teddy bear", THING, {201, 57, 1}}, "indoor"},
    {{89, "hair drier", "hair drier", THING, {246, 0, 122}}, "indoor"},
    {{90, "toothbrush", "toothbrush", THING, {191, 162, 208}}, "indoor"},
    {{92, "banner", "banner", STUFF, {255, 255, 128}}, "textile"},
    {{93, "blanket", "blanket", STUFF, {147, 211, 203}}, "textile"},
    {{95, "bridge", "bridge", STUFF, {150, 100, 100}}, "building"},
    {{100, "cardboard", "cardboard", STUFF, {168, 171, 172}}, "raw-material"},
    {{107, "counter", "counter", STUFF, {146, 112, 198}}, "furniture-stuff"},
    {{109, "curtain", "curtain", STUFF, {210, 170, 100}}, "textile"},
    {{112, "door-stuff", "door", STUFF, {92, 136, 89}}, "furniture-stuff"},
    {{118, "floor-wood", "floor-wood", STUFF, {218, 88, 184}}, "floor"},
    {{119, "flower", "flower", STUFF, {241, 129, 0}}, "plant"},
    {{122, "fruit", "fruit", STUFF, {217, 17, 255}}, "food-stuff"},
    {{125, "gravel", "gravel", STUFF, {124, 74, 181}}, "ground"},
    {{128, "house", "house", STUFF, {70, 70, 70}}, "building"},
    {{130, "light", "light", STUFF, {255, 228, 255}}, "furniture-stuff"},
    {{133, "mirror-stuff", "mirror", STUFF, {154, 208, 0}}, "furniture-stuff"},
    {{138, "net", "net", STUFF, {193, 0, 92}}, "structural"},
    {{141, "pillow", "pillow", STUFF, {76, 91, 113}}, "textile"},
    {{144, "platform", "platform", STUFF, {255, 180, 195}}, "ground"},
    {{145, "playingfield", "playingfield", STUFF, {106, 154, 176}}, "ground"},
    {{147, "railroad", "railroad", STUFF, {230, 150, 140}}, "ground"},
    {{148, "river", "river", STUFF, {60, 143, 255}}, "water"},
    {{149, "road", "road", STUFF, {128, 64, 128}}, "ground"},
    {{151, "roof", "roof", STUFF, {92, 82, 55}}, "building"},
    {{154, "sand", "sand", STUFF, {254, 212, 124}}, "ground"},
    {{155, "sea", "sea", STUFF, {73, 77, 174}}, "water"},
    {{156, "shelf", "shelf", STUFF, {255, 160, 98}}, "furniture-stuff"},
    {{159, "snow", "snow", STUFF, {255, 255, 255}}, "ground"},
    {{161, "stairs", "stairs", STUFF, {104, 84, 109}}, "furniture-stuff"},
    {{166, "tent", "tent", STUFF, {169, 164, 131}}, "building"},
    {{168, "towel", "towel", STUFF, {225, 199, 255}}, "textile"},
    {{171, "wall-brick", "wall-brick", STUFF, {137, 54, 74}}, "wall"},
    {{175, "wall-stone", "wall-stone", STUFF, {135, 158, 223}}, "wall"},
    {{176, "wall-tile", "wall-tile", STUFF, {7, 246, 231}}, "wall"},
    {{177, "wall-wood", "wall-wood", STUFF, {107, 255, 200}}, "wall"},
    {{178, "water-other", "water", STUFF, {58, 41, 149}}, "water"},
    {{180, "window-blind", "window-blind", STUFF, {183, 121, 142}}, "window"},
    {{181, "window-other", "window", STUFF, {255, 73, 97}}, "window"},
    {{184, "tree-merged", "tree", STUFF, {107, 142, 35}}, "plant"},
    {{185, "fence-merged", "fence", STUFF, {190, 153, 153}}, "structural"},
    {{186, "ceiling-merged", "ceiling", STUFF, {146, 139, 141}}, "ceiling"},
    {{187, "sky-other-merged", "sky", STUFF, {70, 130, 180}}, "sky"},
    {{188, "cabinet-merged", "cabinet", STUFF, {134, 199, 156}}, "furniture-stuff"},
    {{189, "table-merged", "table", STUFF, {209, 226, 140}}, "furniture-stuff"},
    {{190, "floor-other-merged", "floor", STUFF, {96, 36, 108}}, "floor"},
    {{191, "pavement-merged", "pavement", STUFF, {96, 96, 96}}, "ground"},
    {{192, "mountain-merged", "mountain", STUFF, {64, 170, 64}}, "solid"},
    {{193, "grass-merged", "grass", STUFF, {152, 251, 152}}, "plant"},
    {{194, "dirt-merged", "dirt", STUFF, {208, 229, 228}}, "ground"},
    {{195, "paper-merged", "paper", STUFF, {206, 186, 171}}, "raw-material"},
    {{196, "food-other-merged", "food", STUFF, {152, 161, 64}}, "food-stuff"},
    {{197, "building-other-merged", "building", STUFF, {116, 112, 0}}, "building"},
    {{198, "rock-merged", "rock", STUFF, {0, 114, 143}}, "solid"},
    {{199, "wall-other-merged", "wall", STUFF, {102, 102, 156}}, "wall"},
    {{200, "rug-merged", "rug", STUFF, {250, 141, 255}}, "textile"},
};

const struct cr_category *cr_coco_category(int32_t label)
{
    return label >= 0 && label < CR_COCO_LABELS ? &table[label].category : NULL;
}

const char *cr_coco_supercategory(int32_t label)
{
    return label >= 0 && label < CR_COCO_LABELS ? table[label].supercategory : NULL;
}

/* Ids grow with labels. */
int32_t cr_coco_label(int64_t category_id)
{
    int32_t low = 0, high = CR_COCO_LABELS;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (table[middle].category.category_id < category_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < CR_COCO_LABELS && table[low].category.category_id == category_id
               ? low
               : CR_LABEL_UNKNOWN;
}

int32_t cr_coco_label_by_name(const char *name)
{
    for (int32_t label = 0; label < CR_COCO_LABELS; label++)
        if (strcmp(table[label].category.name, name) == 0)
            return label;
    return CR_LABEL_UNKNOWN;
}
