"""How letters leave the house: the outbox that keeps and sends them, mail by SMTP, SMS by services of others."""
