/* SPDX-License-Identifier: MIT */
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <sentencepiece_processor.h>

#include "pieces.h"

struct pieces {
    sentencepiece::SentencePieceProcessor processor;
};

/* The library quotes what it found in the file, whatever that is. */
static void say(char message[256], const char *text)
{
    std::snprintf(message, 256, "%s", text);
    for (char *at = message; *at != '\0'; at++)
        if (*at < 0x20 || *at >= 0x7f)
            *at = '?';
}

struct pieces *pieces_load(const void *data, size_t size, char message[256])
{
    struct pieces *pieces = nullptr;
    message[0] = '\0';
    try {
        pieces = new struct pieces;
        const auto status = pieces->processor.LoadFromSerializedProto(
            absl::string_view(static_cast<const char *>(data), size));
        if (status.ok() && pieces->processor.GetPieceSize() > 0)
            return pieces;
        say(message, status.ok() ? "it holds no pieces" : status.ToString().c_str());
    } catch (const std::bad_alloc &) {
        say(message, "out of memory");
    } catch (const std::exception &failure) {
        say(message, failure.what());
    }
    delete pieces;
    return nullptr;
}

void pieces_free(struct pieces *pieces)
{
    delete pieces;
}

int32_t pieces_size(const struct pieces *pieces)
{
    return pieces->processor.GetPieceSize();
}

int32_t pieces_find(const struct pieces *pieces, const char *piece)
{
    const int id = pieces->processor.PieceToId(piece);
    /* An unknown piece gives the id of "unknown", which has a name too. */
    return pieces->processor.IdToPiece(id) == piece ? id : -1;
}

bool pieces_encode(const struct pieces *pieces, const char *text, size_t size,
                   bool (*add)(void *user, int32_t id), void *user)
{
    try {
        std::vector<int> ids;
        if (!pieces->processor.Encode(absl::string_view(text, size), &ids).ok())
            return false;
        for (const int id : ids)
            if (!add(user, id))
                return false;
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

bool pieces_decode(const struct pieces *pieces, const int32_t *ids, size_t count,
                   bool (*put)(void *user, const char *text, size_t size), void *user)
{
    try {
        std::string text;
        if (!pieces->processor.Decode(std::vector<int>(ids, ids + count), &text).ok())
            return false;
        return put(user, text.data(), text.size());
    } catch (const std::exception &) {
        return false;
    }
}
