# Ordene på siden, hvor inviterede svarer. Hvad beskederne betyder, står i en.ftl.

language = Dansk
choose-language = Sprog
page = Invitation
contact = Kontakt

loading-heading = Din invitation
loading-text = Et øjeblik.
no-script-heading = Denne side har brug for JavaScript
no-script-text = Din browser kører ikke JavaScript her, og uden det kan siden ikke læse dit link. Tillad JavaScript for denne side, eller åbn linket i en anden browser. Der er ikke sket noget med din invitation.

open-heading = Du er inviteret til { $portal }
open-greeting = Hej { $name },
open-text = du er inviteret til kundeportalen for { $tenant }.
open-text-by = { $inviter } inviterer dig til kundeportalen for { $tenant }.
open-text-alone = Du er inviteret til kundeportalen for { $tenant }.
message-by = { $inviter } skriver:
message-alone = Personlig besked:
address = Din e-mail
answer-by = Svar inden
accept = Accepter
decline = Afvis
open-hint = Der sker ikke noget, før du vælger. Hvis du ikke ventede denne invitation, kan du bare lukke siden.
sending = Dit svar bliver sendt.

declining-heading = Vil du afvise invitationen?
declining-text = Derefter kan linket ikke bruges mere. Hvis du ombestemmer dig, skal nogen invitere dig igen.
decline-finally = Ja, afvis
back = Nej, gå tilbage

accepted-heading = Invitationen er accepteret
accepted-text = Velkommen! Gå videre til portalen for at logge ind eller oprette din konto der.
accepted-text-alone = Velkommen! Du kan lukke siden. Din kontakt fortæller dig, hvordan du logger ind.
continue = Fortsæt til { $host }

declined-heading = Invitationen er afvist
declined-text = Du hører ikke mere om denne invitation. Hvis det var en fejl, så bed den, der inviterede dig, om at sende den igen.

expired-heading = Invitationen er udløbet
expired-text = Linket kunne bruges i en begrænset tid, og den er gået. Bed den, der inviterede dig, om at sende invitationen igen: så får du et nyt link med e-mail.

revoked-heading = Invitationen er trukket tilbage
revoked-text = Den, der sendte invitationen, har afsluttet den. Hvis du tror, at det er en fejl, så bed om at blive inviteret igen.

superseded-heading = Der findes et nyere link
superseded-text = En senere e-mail har erstattet dette link. Find den seneste invitation i din indbakke, også i mappen med spam, og brug linket i den.

withdrawn-heading = Invitationen findes ikke længere
withdrawn-text = Den blev fjernet, efter at den var sendt til dig. Hvis du stadig venter at få adgang, så spørg den, der inviterede dig.

inactive-heading = Portalen er slået fra lige nu
inactive-text = Intet er tabt: du kan acceptere invitationen, når portalen er tilbage, så længe datoen i din e-mail ikke er overskredet. Prøv igen senere, eller spørg din kontakt.

suspended-heading = Kontoen er ikke i brug
suspended-text = Der findes en konto med din adresse, men den er spærret eller lukket, og derfor kan invitationen ikke accepteres. Bed din kontakt om at åbne den igen.

member-heading = Du har allerede en konto
member-text = Din adresse er allerede registreret, så der er ikke mere at acceptere. Log ind på portalen, som du plejer.

unknown-heading = Linket er ukendt
unknown-text = Måske blev det ikke kopieret helt. Åbn linket i din e-mail igen, eller indsæt det her.
paste-heading = Åbn din invitation
paste-text = Indsæt linket fra din invitation her. Den sidste del, efter tegnet #, er nok.
paste-label = Link fra din e-mail
paste-hint = Det begynder med https:// og er ret langt.
paste-wrong = Det er ikke et link til en invitation. Kopier det igen fra din e-mail, helt, fra https:// til det sidste tegn.
paste-empty = Indsæt først linket.
open = Åbn invitationen

offline-heading = Ingen forbindelse
offline-text = Siden kan ikke få fat i sin server. Tjek din internetforbindelse, og prøv igen. Intet er tabt.
busy-heading = Der er mange her lige nu
busy-text = Vent { $delay }, og prøv så igen. Intet er tabt.
unavailable-heading = Prøv igen om et øjeblik
unavailable-text = Tjenesten kan ikke svare lige nu. Vent { $delay }, og prøv så igen. Intet er tabt.
failed-heading = Det virkede ikke
failed-text = Serveren forstod ikke denne side. Indlæs den igen, eller åbn linket i en anden browser.
retry = Prøv igen
