#!/bin/sh
# SPDX-License-Identifier: MIT
# The shaders as they are embedded: valid for Vulkan 1.2, and asking for no more than every device has
# that device-vulkan takes: no 8 or 16-bit storage, no 64-bit integers, no atomics on floats; 128
# bytes of push constants.
# shellcheck disable=SC2154 # top_srcdir and top_builddir come from tests/Makefile.inc
. "$top_srcdir/tests/portability/vulkan-lib.sh"
command -v spirv-val >/dev/null && command -v spirv-dis >/dev/null ||
    skip_all "spirv-val and spirv-dis are not installed (Debian: spirv-tools)"

mkdir "$scratch/spv"
"$top_builddir/tests/portability/shader_pipelines" --dump "$scratch/spv" || exit 1
for file in "$scratch/spv"/*.spv; do
    name=$(basename "$file" .spv)
    spirv-val --target-env vulkan1.2 "$file" 2>&1 | sed "s/^/$name: /" >>"$scratch/invalid"
    spirv-dis --no-header --no-indent --raw-id "$file" >"$scratch/text" || exit 1
    awk -v name="$name" -v lanes="$name" '
        $1 == "OpCapability" &&
            $2 !~ /^(Shader|PhysicalStorageBufferAddresses|GroupNonUniform(Vote|Arithmetic|Ballot|Shuffle|ShuffleRelative|Clustered)?)$/ {
            print name ": " $2
        }
        $1 == "OpCapability" && $2 ~ /^GroupNonUniform/ && name !~ /_subgroup$/ {
            print name ": " $2 " in a shader that is not named for it"
        }' "$scratch/text" >>"$scratch/capabilities"
    # The block of push constants: the offset of its last member and that member'"'"'s size.
    awk -v name="$name" '
        $1 == "OpMemberDecorate" && $4 == "Offset" { offset[$2, $3] = $5 }
        $1 == "OpDecorate" && $3 == "ArrayStride" { stride[$2] = $4 }
        $3 == "OpTypeInt" || $3 == "OpTypeFloat" { size[$1] = $4 / 8 }
        $3 == "OpTypeVector" { size[$1] = size[$4] * $5 }
        $3 == "OpConstant" { value[$1] = $5 }
        $3 == "OpTypeArray" { size[$1] = stride[$1] * value[$5] }
        $3 == "OpTypePointer" { size[$1] = 8 }
        $3 == "OpTypeStruct" {
            end = 0
            for (i = 4; i <= NF; i++)
                if (offset[$1, i - 4] + size[$i] > end) end = offset[$1, i - 4] + size[$i]
            size[$1] = end
        }
        $3 == "OpTypePointer" && $4 == "PushConstant" && !($5 in counted) { pushed = $5 }
        $3 == "OpVariable" && $5 == "PushConstant" { found = 1 }
        END { if (!found || size[pushed] == 0 || size[pushed] > 128)
                  print name ": " size[pushed] + 0 " bytes of push constants" }' \
        "$scratch/text" >>"$scratch/pushed"
done
found "spirv-val has nothing to say" "$scratch/invalid"
found "capabilities that every device has; those of subgroups in shaders named for it" \
    "$scratch/capabilities"
found "1 to 128 bytes of push constants" "$scratch/pushed"
plan
