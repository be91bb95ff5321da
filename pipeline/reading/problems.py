"""The codes of `Probe.problems`, with their meanings: problems of recordings that can still be used."""

PROBLEMS = {
    "audio_clock_jumps": "The times of the sound jump although nothing is missing; it is played continuously.",
    "audio_damaged": "A piece of the sound cannot be decoded; it is silent there.",
    "audio_ends_early": "The sound cannot be read to its end.",
    "audio_gap": "Sound is missing; it is silent there.",
    "clock_restarts": "The clock restarts, as in transport streams joined from pieces; it is played continuously.",
    "edit_list": "An edit list hides the first pictures.",
    "late_start": "A stream starts more than a second after the recording.",
    "moov_at_end": "The index is at the end: players must load the whole file before they start.",
    "negative_start": "The clock starts below zero.",
    "no_audio": "There is no sound: highlights come from the audience alone.",
    "no_duration": "The header does not give the length; it was measured by reading the file.",
    "no_video": "There are no moving images: clips are sound only.",
    "recovered": "The index (moov) is missing or cut off; pictures were found in the data and are shown evenly.",
    "several_audio": "There are several sound tracks; clips use one of them.",
    "sound_lost": "The data between recovered pictures is not recognised as sound.",
    "sound_recovered": "Sound was found between recovered pictures; the message says how much of it is lost.",
    "truncated": "The file ends early; the message says where and, if the format states it, the full length.",
    "undecodable": "The first pictures cannot be decoded.",
    "unknown_duration": "The length could not be found.",
    "unsupported_codec": "A stream cannot be decoded; the others are used.",
}
