"""Words to people, whatever carries them: e-mail, WhatsApp, a call. Which words, and to whom, is decided above."""
