import type en from '../en/account';

export default {
  email: 'E-Mail-Adresse',
  password: 'Passwort',
  newPassword: 'Neues Passwort',
  name: 'Dein Name',
  nameHint: 'In Räumen zu sehen. Du kannst ihn weglassen.',
  passwordHint: 'Mindestens 8 Zeichen.',
  show: 'Passwort zeigen',
  hide: 'Passwort verbergen',
  login: {
    title: 'Anmelden',
    lead: 'Schön, dass du wieder da bist.',
    submit: 'Anmelden',
    forgot: 'Passwort vergessen?',
    none: 'Noch kein Konto?',
    signUp: 'Konto anlegen',
  },
  signup: {
    title: 'Konto anlegen',
    lead: 'Kostenlos, und dein erster Clip ist zwei Minuten entfernt.',
    submit: 'Konto anlegen',
    have: 'Schon ein Konto?',
    logIn: 'Anmelden',
  },
  check: {
    title: 'Schau in deine Mails',
    text: (email: string) => `Wir haben einen Link an ${email} geschickt. Öffne ihn, dann bist du drin.`,
    textUnknown: 'Wir haben dir einen Link geschickt. Öffne ihn, dann bist du drin.',
    nothing: 'Nichts da? Schau in den Spam-Ordner oder',
    again: 'nimm eine andere Adresse',
  },
  forgot: {
    title: 'Neues Passwort',
    lead: 'Nenne uns deine Adresse, wir schicken dir einen Link.',
    submit: 'Link schicken',
    sentTitle: 'Schau in deine Mails',
    sent: (email: string) => `Falls ${email} ein Konto hat, ist ein Link unterwegs. Er gilt eine Stunde.`,
    back: 'Zurück zur Anmeldung',
  },
} satisfies typeof en;
