# Die Wörter der Seite, auf der eingeladene Menschen antworten. Was die Nachrichten bedeuten, steht in en.ftl.

language = Deutsch
choose-language = Sprache
page = Einladung
contact = Ansprechpartner

loading-heading = Ihre Einladung
loading-text = Einen Moment, bitte.
no-script-heading = Diese Seite braucht JavaScript
no-script-text = Ihr Browser führt hier kein JavaScript aus, und ohne kann diese Seite Ihren Link nicht lesen. Erlauben Sie JavaScript für diese Seite, oder öffnen Sie den Link in einem anderen Browser. Mit Ihrer Einladung ist nichts geschehen.

open-heading = Sie sind eingeladen zu { $portal }
open-greeting = Guten Tag { $name },
open-text = Sie sind in das Kundenportal von { $tenant } eingeladen.
open-text-by = { $inviter } lädt Sie in das Kundenportal von { $tenant } ein.
open-text-alone = Sie sind in das Kundenportal von { $tenant } eingeladen.
message-by = { $inviter } schreibt:
message-alone = Persönliche Nachricht:
address = Ihre E-Mail
answer-by = Antwort bis
accept = Annehmen
decline = Ablehnen
open-hint = Es geschieht nichts, bevor Sie sich entscheiden. Wenn Sie diese Einladung nicht erwartet haben, schließen Sie einfach die Seite.
sending = Ihre Antwort wird gesendet.

declining-heading = Diese Einladung ablehnen?
declining-text = Danach kann der Link nicht mehr benutzt werden. Wenn Sie es sich anders überlegen, muss man Sie neu einladen.
decline-finally = Ja, ablehnen
back = Nein, zurück

accepted-heading = Einladung angenommen
accepted-text = Willkommen! Im Portal melden Sie sich an oder richten Ihr Konto ein.
accepted-text-alone = Willkommen! Sie können diese Seite schließen. Ihr Ansprechpartner sagt Ihnen, wie Sie sich anmelden.
continue = Weiter zu { $host }

declined-heading = Einladung abgelehnt
declined-text = Sie hören von dieser Einladung nichts mehr. War das ein Versehen, dann bitten Sie die Person, die Sie eingeladen hat, sie noch einmal zu senden.

expired-heading = Diese Einladung ist abgelaufen
expired-text = Ihr Link galt eine begrenzte Zeit, und die ist vorbei. Bitten Sie die Person, die Sie eingeladen hat, die Einladung noch einmal zu senden: Dann bekommen Sie einen neuen Link per E-Mail.

revoked-heading = Diese Einladung wurde zurückgezogen
revoked-text = Wer sie gesendet hat, hat sie beendet. Wenn Sie das für ein Versehen halten, bitten Sie um eine neue Einladung.

superseded-heading = Es gibt einen neueren Link
superseded-text = Eine spätere E-Mail hat diesen Link ersetzt. Suchen Sie die neueste Einladung in Ihrem Postfach, auch im Spam-Ordner, und benutzen Sie den Link darin.

withdrawn-heading = Diese Einladung gibt es nicht mehr
withdrawn-text = Sie wurde entfernt, nachdem sie an Sie gesendet worden war. Wenn Sie weiterhin Zugang erwarten, fragen Sie die Person, die Sie eingeladen hat.

inactive-heading = Das Portal ist zurzeit abgeschaltet
inactive-text = Es ist nichts verloren: Sobald das Portal zurück ist, können Sie die Einladung annehmen, solange das Datum in Ihrer E-Mail nicht vorbei ist. Versuchen Sie es später noch einmal, oder fragen Sie Ihren Ansprechpartner.

suspended-heading = Dieses Konto ist nicht in Gebrauch
suspended-text = Für Ihre Adresse gibt es ein Konto, aber es wurde gesperrt oder geschlossen. Deshalb kann die Einladung nicht angenommen werden. Bitten Sie Ihren Ansprechpartner, es wieder zu öffnen.

member-heading = Sie haben schon ein Konto
member-text = Ihre Adresse ist bereits registriert, es gibt also nichts mehr anzunehmen. Melden Sie sich wie gewohnt im Portal an.

unknown-heading = Dieser Link ist nicht bekannt
unknown-text = Vielleicht wurde er nicht vollständig kopiert. Öffnen Sie den Link aus Ihrer E-Mail noch einmal, oder fügen Sie ihn hier ein.
paste-heading = Ihre Einladung öffnen
paste-text = Fügen Sie hier den Link aus Ihrer Einladung ein. Sein letzter Teil, hinter dem Zeichen #, genügt.
paste-label = Link aus Ihrer E-Mail
paste-hint = Er beginnt mit https:// und ist ziemlich lang.
paste-wrong = Das ist kein Link zu einer Einladung. Kopieren Sie ihn noch einmal aus Ihrer E-Mail, vollständig, von https:// bis zum letzten Zeichen.
paste-empty = Fügen Sie zuerst den Link ein.
open = Einladung öffnen

offline-heading = Keine Verbindung
offline-text = Die Seite erreicht ihren Server nicht. Prüfen Sie Ihre Internetverbindung, und versuchen Sie es noch einmal. Es ist nichts verloren.
busy-heading = Gerade sind viele Menschen hier
busy-text = Bitte warten Sie { $delay }, und versuchen Sie es dann noch einmal. Es ist nichts verloren.
unavailable-heading = Bitte versuchen Sie es gleich noch einmal
unavailable-text = Der Dienst kann im Moment nicht antworten. Bitte warten Sie { $delay }, und versuchen Sie es dann noch einmal. Es ist nichts verloren.
failed-heading = Das hat nicht geklappt
failed-text = Der Server hat diese Seite nicht verstanden. Laden Sie sie neu, oder öffnen Sie den Link in einem anderen Browser.
retry = Noch einmal versuchen
