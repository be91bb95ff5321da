"""The words of the pages that the API renders, in each language."""

from msgspec import Struct

from services.language import Language


class Words(Struct, frozen=True, kw_only=True):
    """The words of one language; `{…}` is filled in."""

    kinds: dict[str, str]
    home: str
    make_your_own: str
    download: str
    share: str
    copy_link: str
    copied: str
    not_copied: str
    play: str
    pause: str
    mute: str
    unmute: str
    full_screen: str
    leave_full_screen: str
    position: str
    time_of: str
    link_ended: str
    not_loaded: str
    view: str
    views: str
    thousands: str
    found: str
    found_in: str
    gone_title: str
    gone: str
    verify_title: str
    verify_text: str
    verify_action: str
    verified_title: str
    verified: str
    failed_title: str
    reset_title: str
    reset_label: str
    reset_action: str
    reset_done_title: str
    reset_done: str
    problems: dict[str, str]
    """Sentences by field; for a field without one, the error's own message is shown."""


WORDS: dict[Language, Words] = {
    "en": Words(
        kinds={
            "humor": "Humor",
            "celebration": "Celebration",
            "surprise": "Surprise",
            "emotional": "Emotional",
            "engagement": "Engagement",
        },
        home="Go home",
        make_your_own="Make your own",
        download="Download",
        share="Share",
        copy_link="Copy link",
        copied="Link copied",
        not_copied="The browser did not let the link be copied. Take it from the address bar.",
        play="Play",
        pause="Pause",
        mute="Mute",
        unmute="Unmute",
        full_screen="Full screen",
        leave_full_screen="Leave full screen",
        position="Position",
        time_of="{at} of {length}",
        link_ended="This link has ended: its time is up, or its owner closed it.",
        not_loaded="The clip did not load. Check your connection, then press play.",
        view="view",
        views="views",
        thousands=",",
        found="Found by listening, with Big Snuggles.",
        found_in="From “{title}”.",
        gone_title="Nothing here",
        gone="This link does not work: it may have ended, or its owner closed it.",
        verify_title="Confirm your address",
        verify_text="One press, and you are in.",
        verify_action="Confirm my address",
        verified_title="Confirmed",
        verified="{email} is confirmed. You can close this page.",
        failed_title="That did not work",
        reset_title="Choose a new password",
        reset_label="New password, at least 8 characters",
        reset_action="Save",
        reset_done_title="Saved",
        reset_done="The new password is set. Every session has ended: log in again.",
        problems={},
    ),
    "de": Words(
        kinds={
            "humor": "Humor",
            "celebration": "Jubel",
            "surprise": "Überraschung",
            "emotional": "Gefühl",
            "engagement": "Beteiligung",
        },
        home="Zur Startseite",
        make_your_own="Selbst einen machen",
        download="Herunterladen",
        share="Teilen",
        copy_link="Link kopieren",
        copied="Link kopiert",
        not_copied="Der Browser lässt das Kopieren nicht zu. Nimm den Link aus der Adresszeile.",
        play="Abspielen",
        pause="Pause",
        mute="Ton aus",
        unmute="Ton an",
        full_screen="Vollbild",
        leave_full_screen="Vollbild beenden",
        position="Position",
        time_of="{at} von {length}",
        link_ended="Dieser Link gilt nicht mehr: Er ist abgelaufen oder wurde geschlossen.",
        not_loaded="Der Clip wurde nicht geladen. Prüfe deine Verbindung und starte ihn noch einmal.",
        view="Aufruf",
        views="Aufrufe",
        thousands=".",
        found="Durch Zuhören gefunden, mit Big Snuggles.",
        found_in="Aus „{title}“.",
        gone_title="Hier ist nichts",
        gone="Dieser Link funktioniert nicht: Er ist abgelaufen oder wurde geschlossen.",
        verify_title="Bestätige deine Adresse",
        verify_text="Ein Klick, und du bist dabei.",
        verify_action="Adresse bestätigen",
        verified_title="Bestätigt",
        verified="{email} ist bestätigt. Du kannst diese Seite schließen.",
        failed_title="Das hat nicht geklappt",
        reset_title="Wähle ein neues Passwort",
        reset_label="Neues Passwort, mindestens 8 Zeichen",
        reset_action="Speichern",
        reset_done_title="Gespeichert",
        reset_done="Das neue Passwort gilt. Alle Sitzungen wurden beendet: Melde dich neu an.",
        problems={
            "token": "Dieser Link wurde schon benutzt oder ist abgelaufen. Fordere einen neuen an.",
            "password": "Ein Passwort hat 8 bis 1000 Zeichen; wähle ein anderes.",
        },
    ),
}
