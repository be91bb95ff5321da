import { count, exact, size } from '../../format/when';
import type en from '../en/errors';
import type { Details } from '../en/errors';

const FEATURES: Record<string, string> = {
  clips_per_month: 'Clips in diesem Monat',
  api_calls_per_day: 'API-Aufrufe an diesem Tag',
  memory_entries: 'Einträge',
  storage_bytes: 'Bytes Speicher',
};
const ABILITIES: Record<string, string> = {
  room_creation: 'eigene Räume',
  priority_support: 'bevorzugte Hilfe',
  analytics: 'die Auswertung',
  api_access: 'API-Schlüssel',
};

function used({ feature, limit, resets_at }: Details): string {
  const what = FEATURES[String(feature)];
  const all = what && typeof limit === 'number' ? `Alle ${count(limit)} ${what} sind verbraucht` : '';
  const spent = all || 'Dein Kontingent ist aufgebraucht';
  if (typeof resets_at !== 'string') return `${spent}. Lösche etwas oder wähle einen größeren Tarif.`;
  return `${spent}. Weiter geht es ab ${exact(Date.parse(resets_at))} oder mit einem größeren Tarif.`;
}

function tooLarge({ max_bytes }: Details): string {
  if (typeof max_bytes !== 'number') return 'Das ist zu groß.';
  return `Das ist zu groß. Möglich sind höchstens ${size(max_bytes)}.`;
}

function tooMany({ retry_after_s }: Details): string {
  if (typeof retry_after_s !== 'number') return 'Das waren zu viele Versuche. Warte einen Moment.';
  return `Das waren zu viele Versuche. Warte ${count(retry_after_s)} s.`;
}

export default {
  reasons: {
    address_taken: 'Diese Adresse hat inzwischen ein Konto. Melde dich damit an.',
    already_confirmed: 'Diese Adresse ist schon bestätigt.',
    already_suggested: 'Das hat schon jemand vorgeschlagen. Stimme dafür.',
    ballots_anonymous:
      'Wer in dieser anonymen Umfrage wie gestimmt hat, weiß niemand mehr. Setze sie zuerst zurück, damit niemand zweimal stimmt.',
    ballots_archived: 'Die Stimmen dieser Umfrage sind archiviert.',
    busy: 'Das Abo wird gerade schon geändert. Versuche es gleich noch einmal.',
    challenge_expired: 'Die Anfrage an den Passkey ist abgelaufen. Versuche es noch einmal.',
    clip_too_long: ({ max_s }) =>
      typeof max_s === 'number'
        ? `In deinem Tarif hat ein Clip höchstens ${count(max_s)} s. Wähle ein kürzeres Stück.`
        : 'Der Clip ist zu lang. Wähle ein kürzeres Stück.',
    clip_too_short: 'Der Clip ist zu kurz. Wähle ein längeres Stück.',
    codes_in_use: 'Einmalcodes sind schon eingerichtet. Entferne sie zuerst.',
    codes_not_asked: 'Es warten keine Einmalcodes auf die Bestätigung. Fang noch einmal an.',
    codes_not_used: 'Einmalcodes sind nicht eingerichtet.',
    consent_missing: 'Stimme zuerst der Aufnahme zu. Bis dahin wird nichts von dir aufgenommen.',
    delivery_open: 'Diese Zustellung läuft noch und wird von selbst wiederholt.',
    disk: 'Die Platte des Servers ist fast voll, deshalb wird nichts Neues angenommen. Versuche es später.',
    host_only: 'Das darf nur, wer den Raum leitet.',
    hosts_only: 'Das dürfen nur, die den Raum leiten.',
    link_used: 'Dieser Link ist abgelaufen oder schon benutzt. Lass dir einen neuen schicken.',
    needs_account: 'Dafür braucht es ein Konto. Gäste können abstimmen und mitreden.',
    no_guests: 'Dieser Raum nimmt keine Gäste auf. Melde dich an, um dazuzukommen.',
    no_highlights: 'Der Raum hat noch keine fertige Aufnahme, über deren Highlights man abstimmen könnte.',
    no_picture: 'Diese Aufnahme hat kein Bild. Nimm das Audiogramm oder nur MP3.',
    no_sound: 'Diese Aufnahme hat keinen Ton. Schneide Clips nach Anfang und Ende.',
    not_recording: 'In diesem Raum wird gerade nichts aufgenommen.',
    not_yours: 'Das ist die Nachricht von jemand anderem.',
    passkey_failed: 'Der Passkey hat nicht richtig geantwortet. Versuche es noch einmal.',
    passkey_registered: 'Dieser Passkey ist schon eingerichtet.',
    passkey_unknown: 'Diesen Passkey kennen wir hier nicht. Versuche es noch einmal oder nimm das Passwort.',
    payment_open: 'Eine Zahlung ist offen. Ändere erst die Karte, dann den Tarif.',
    people_inside: 'Es sind mehr Leute im Raum. Entferne zuerst jemanden.',
    poll_open: 'Nur eine beendete Umfrage lässt sich wieder öffnen.',
    queue: 'Es wartet schon zu viel Arbeit. Brich etwas ab oder versuche es später.',
    recording_ended: 'Die Aufnahme ist zu Ende.',
    recording_failed: 'Diese Aufnahme ist fehlgeschlagen.',
    recording_full: 'Die Aufnahme ist so lang, wie der Tarif des Gastgebers erlaubt.',
    recording_too_short: 'Diese Aufnahme ist kürzer als der kürzeste Clip.',
    results_hidden: 'Die Ergebnisse dieser Umfrage sind noch verborgen.',
    results_shown: 'Die Ergebnisse dieser Umfrage zeigen sich von selbst.',
    same_twice: 'Zwei Antworten sind gleich.',
    stripe: 'Der Zahlungsdienst antwortet nicht richtig. Versuche es gleich noch einmal.',
    too_many: 'Mehr davon geht nicht. Entferne zuerst etwas.',
    too_many_uploads: 'Zu viele Uploads sind offen. Beende oder lösche erst welche.',
    upload_closed: 'Dieser Upload ist abgeschlossen oder aufgegeben. Lade die Datei neu hoch.',
    wrong_code: 'Der Code stimmt nicht oder ist schon benutzt. Nimm den, den die App jetzt zeigt.',
    wrong_login: 'Adresse oder Passwort stimmt nicht.',
    wrong_password: 'Das aktuelle Passwort stimmt nicht.',
    wrong_type: 'Das geht bei dieser Art von Umfrage nicht.',
    yourself: 'Mit dir selbst geht das nicht.',
  },
  fields: {
    code: 'Ein Code hat mindestens 6 Zeichen.',
    content: 'Eine Nachricht hat 1 bis 2.000 Zeichen.',
    current_password: 'Dafür braucht es das aktuelle Passwort.',
    description: 'Eine Beschreibung hat höchstens 5.000 Zeichen.',
    display_name: 'Ein Name hat höchstens 100 Zeichen und mindestens ein sichtbares.',
    email: 'Das ist keine E-Mail-Adresse. Sie sieht aus wie name@example.com.',
    end_s: 'Das Ende muss nach dem Anfang und in der Aufnahme liegen.',
    events: 'Wähle mindestens ein Ereignis.',
    expires_at: 'Das liegt in der Vergangenheit. Wähle einen späteren Zeitpunkt.',
    filename: 'Dieser Dateiname lässt sich nicht speichern. Wähle einen einfacheren.',
    formats: 'Wähle mindestens ein Format.',
    max_participants: 'So viele Plätze gehen nicht.',
    name: 'Ein Name hat höchstens 100 Zeichen und mindestens ein sichtbares.',
    new_password: 'Ein Passwort hat 8 bis 200 Zeichen.',
    options: 'Eine Umfrage hat 2 bis 6 Antworten mit je 1 bis 200 Zeichen.',
    password: 'Ein Passwort hat 8 bis 200 Zeichen.',
    question: 'Eine Frage hat 1 bis 500 Zeichen.',
    scopes: 'Wähle, was der Schlüssel darf.',
    start_s: 'Der Anfang muss in der Aufnahme liegen.',
    title: 'Ein Titel hat höchstens 300 Zeichen und mindestens ein sichtbares.',
    url: 'Von dieser Adresse lässt sich nichts laden. Es muss eine öffentliche Adresse mit http:// oder https:// sein, die direkt auf die Datei zeigt.',
  },
  codes: {
    already_subscribed: 'Du hast schon ein Abo. Ändere es, statt ein zweites abzuschließen.',
    bad_request: 'Der Dienst versteht diese Anfrage nicht.',
    banned: 'Du wurdest aus diesem Raum ausgeschlossen.',
    billing_not_configured: 'Hier werden keine Zahlungen angenommen.',
    conflict: 'Das geht in diesem Zustand nicht.',
    email_taken: 'Für diese Adresse gibt es schon ein Konto.',
    event_ignored: 'Dieses Ereignis von Stripe bewirkt hier nichts.',
    forbidden: 'Das darf dieses Konto nicht.',
    fresh_login_required: 'Dafür musst du dich gerade erst angemeldet haben. Melde dich noch einmal an.',
    idempotency_key_reused: 'Diese Anfrage war schon einmal da, mit anderem Inhalt. Lade die Seite neu.',
    internal_error: ({ id }) =>
      `Der Dienst hat einen Fehler gemacht.${typeof id === 'string' ? ` Melde ihn mit der Nummer ${id}.` : ''}`,
    invalid_field: 'Eine Angabe stimmt nicht.',
    invalid_signature: 'Das hat Stripe nicht unterschrieben.',
    malformed_json: 'Der Dienst versteht diese Anfrage nicht.',
    method_not_allowed: 'Das geht an dieser Adresse nicht.',
    missing_at_stripe: 'Stripe kennt das nicht.',
    muted: 'Du bist stummgeschaltet. Zuhören geht weiter.',
    no_subscription: 'Du hast kein bezahltes Abo.',
    not_found: 'Das gibt es nicht oder nicht mehr.',
    not_in_room: 'Du bist nicht im Raum. Tritt ihm noch einmal bei.',
    not_ready: 'Das ist noch nicht fertig. Versuche es gleich noch einmal.',
    payload_too_large: tooLarge,
    payment_declined: 'Die Bank hat die Zahlung abgelehnt. Es hat sich nichts geändert.',
    poll_closed: 'Diese Umfrage ist beendet.',
    quota_exceeded: used,
    rate_limited: tooMany,
    recording_running: 'In diesem Raum wird schon aufgenommen.',
    request_in_progress: 'Die gleiche Anfrage läuft noch. Warte einen Moment.',
    room_ended: 'Dieser Raum ist beendet.',
    room_full: 'Alle Plätze in diesem Raum sind belegt.',
    room_locked: 'Der Raum ist abgeschlossen. Bitte die Leitung, ihn zu öffnen.',
    second_factor_required: 'Gib den Code ein, den deine App zeigt, oder einen Wiederherstellungscode.',
    tier_required: ({ feature }) =>
      `${ABILITIES[String(feature)] ? `Für ${ABILITIES[String(feature)]} braucht es` : 'Das gehört zu'} einen größeren Tarif.`,
    unauthenticated: 'Melde dich zuerst an.',
    unavailable: 'Ein Teil des Dienstes antwortet gerade nicht. Versuche es gleich noch einmal.',
    unsupported_media_type:
      'Das ist keine Aufnahme. Schicke eine Video- oder Tondatei, zum Beispiel ein MP4.',
    withdrawal_period_over: 'Die 14 Tage für einen Widerruf sind vorbei. Kündigen kannst du weiterhin.',
  },
  causes: {
    bad_task: {
      message: 'Der Dienst hat seinen eigenen Auftrag nicht verstanden.',
      remedy: 'Das ist ein Fehler des Dienstes. Melde ihn.',
    },
    cancelled: { message: 'Die Arbeit wurde abgebrochen.', remedy: 'Starte sie neu, wenn du sie brauchst.' },
    clip_too_short: {
      message: 'Anfang und Ende liegen für einen Clip zu nah beieinander.',
      remedy: 'Wähle ein längeres Stück.',
    },
    crashed: {
      message: 'Die Verarbeitung ist an dieser Datei gescheitert.',
      remedy: 'Passiert das noch einmal, ist die Datei beschädigt. Schicke eine bessere Kopie.',
    },
    decode_failed: {
      message: 'Ein Teil der Datei ließ sich nicht lesen.',
      remedy: 'Die Datei ist dort beschädigt. Schicke eine bessere Kopie.',
    },
    empty_file: { message: 'Die Datei ist leer.', remedy: 'Schicke die Aufnahme noch einmal.' },
    encode_failed: {
      message: 'Der Clip ließ sich nicht schreiben.',
      remedy: 'Wandle die Aufnahme zuerst in H.264 und AAC um, oder melde das.',
    },
    encrypted: { message: 'Die Aufnahme ist verschlüsselt.', remedy: 'Schicke sie ohne Kopierschutz.' },
    forbidden_format: {
      message: 'Playlists und Dateien, die auf andere verweisen, werden nicht angenommen.',
      remedy: 'Schicke die Mediendatei selbst.',
    },
    internal: {
      message: 'Der Dienst hat einen Fehler gemacht.',
      remedy: 'Hilft ein neuer Versuch nicht, findet der Betreiber die Ursache im Protokoll.',
    },
    invalid_field: {
      message: 'Von dieser Adresse lässt sich nichts laden.',
      remedy: 'Nimm eine andere Adresse, oder lade die Datei selbst hoch.',
    },
    invalid_option: {
      message: 'Eine Option lässt sich nicht verwenden.',
      remedy: 'Ändere sie, oder lass sie weg.',
    },
    loudness_missed: {
      message: 'Der Clip ist nicht so laut wie gewünscht.',
      remedy: 'Wähle eine andere Lautheit, oder lass den Pegel, wie er ist.',
    },
    moov_missing: {
      message: 'Der Datei fehlt ihr Verzeichnis (moov): Die Aufnahme brach ab, bevor es geschrieben war.',
      remedy:
        'Repariere die Datei und schicke sie noch einmal. MKV und fragmentiertes MP4 überstehen einen Absturz.',
    },
    no_audio: {
      message: 'Es gibt keinen Ton zum Anhören.',
      remedy: 'Clips lassen sich von Hand nach Anfang und Ende schneiden.',
    },
    no_space: {
      message: 'Die Arbeitsplatte ist voll.',
      remedy: 'Versuche es später. Der Betreiber weiß Bescheid.',
    },
    no_streams: {
      message: 'Die Datei enthält weder Ton noch Bild.',
      remedy: 'Schicke eine Video- oder Tonaufnahme.',
    },
    not_media: {
      message: 'Das ist keine lesbare Mediendatei.',
      remedy: 'Schicke Video oder Ton, etwa MP4, MOV, MKV, WebM, TS, MP3, M4A, OGG, WAV oder FLAC.',
    },
    out_of_memory: {
      message: 'Die Arbeit brauchte mehr Speicher als erlaubt.',
      remedy: 'Wandle die Datei zuerst in eine kleinere Auflösung um.',
    },
    out_of_range: {
      message: 'Anfang oder Ende liegt außerhalb der Aufnahme.',
      remedy: 'Wähle beide in der Aufnahme.',
    },
    output_too_large: {
      message: 'Der Clip ist größer als erlaubt.',
      remedy: 'Wähle einen kürzeren Clip oder ein kleineres Format.',
    },
    payload_too_large: {
      message: 'Die Datei ist zu groß.',
      remedy: 'Nimm eine kürzere oder kleinere Aufnahme.',
    },
    quota_exceeded: {
      message: 'Das Kontingent deines Tarifs ist aufgebraucht.',
      remedy: 'Lösche etwas, oder wähle einen größeren Tarif.',
    },
    read_failed: {
      message: 'Die Aufnahme ließ sich nicht lesen.',
      remedy: 'Versuche es gleich noch einmal.',
    },
    recording_too_long: {
      message: 'Die Aufnahme ist länger, als der Tarif erlaubt.',
      remedy: 'Teile sie in kürzere Aufnahmen, oder wähle einen größeren Tarif.',
    },
    source_missing: {
      message: 'Die Datei liegt nicht mehr im Speicher.',
      remedy: 'Lade sie noch einmal hoch.',
    },
    still_image: {
      message: 'Das ist ein Standbild und keine Aufnahme.',
      remedy: 'Schicke eine Video- oder Tonaufnahme.',
    },
    stuck: {
      message: 'Die Arbeit an diesem Clip ging verloren.',
      remedy: 'Starte sie neu. Gezählt wurde dafür nichts.',
    },
    tagger_unusable: {
      message: 'Der Klangerkenner lässt sich nicht verwenden.',
      remedy: 'Der Betreiber muss ihn neu einrichten.',
    },
    timed_out: {
      message: 'Die Arbeit dauerte länger als erlaubt.',
      remedy: 'Wähle einen kürzeren Clip, oder bitte den Betreiber um eine höhere Grenze.',
    },
    truncated: {
      message: 'Die Datei endet vor ihrem Inhalt.',
      remedy: 'Schicke die ganze Datei noch einmal.',
    },
    unavailable: {
      message: 'Ein Teil des Dienstes oder die Quelle antwortete nicht.',
      remedy: 'Hilft ein neuer Versuch nicht, nimm eine andere Adresse oder frage den Betreiber.',
    },
    unsupported_codec: {
      message: 'Für diesen Codec gibt es keinen Decoder.',
      remedy: 'Wandle die Datei zuerst in H.264 und AAC um.',
    },
    unsupported_media_type: {
      message: 'Das ist keine Aufnahme.',
      remedy: 'Schicke eine Video- oder Tondatei.',
    },
    unsupported_output: {
      message: 'Diese Ausgabe lässt sich aus der Aufnahme nicht machen.',
      remedy: 'Wähle ein anderes Format.',
    },
    upload_abandoned: {
      message: 'Der Upload wurde nicht innerhalb eines Tages fertig.',
      remedy: 'Beginne einen neuen Upload.',
    },
    verify_failed: {
      message: 'Der fertige Clip hat seine Prüfung nicht bestanden.',
      remedy: 'Wähle andere Zeiten. Hilft das nicht, wandle die Aufnahme zuerst um.',
    },
    worker_lost: {
      message: 'Der Rechner, der daran gearbeitet hat, ist ausgefallen.',
      remedy: 'Gehen andere Aufnahmen, ist diese vielleicht beschädigt. Schicke eine bessere Kopie.',
    },
  },
  stream: (n: number) => `Spur ${n}`,
  at: (seconds: string) => `bei ${seconds} s`,
} satisfies typeof en;
