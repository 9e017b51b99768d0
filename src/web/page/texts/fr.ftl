# Les mots de la page où répond une personne invitée. Le sens des messages est expliqué dans en.ftl.

language = Français
choose-language = Langue
page = Invitation
contact = Contact

loading-heading = Votre invitation
loading-text = Un instant, s’il vous plaît.
no-script-heading = Cette page a besoin de JavaScript
no-script-text = Votre navigateur n’exécute pas JavaScript ici, et sans lui cette page ne peut pas lire votre lien. Autorisez JavaScript pour cette page, ou ouvrez le lien dans un autre navigateur. Rien n’est arrivé à votre invitation.

open-heading = Vous êtes invité(e) à rejoindre { $portal }
open-greeting = Bonjour { $name },
open-text = vous êtes invité(e) à rejoindre le portail client de { $tenant }.
open-text-by = { $inviter } vous invite à rejoindre le portail client de { $tenant }.
open-text-alone = Vous êtes invité(e) à rejoindre le portail client de { $tenant }.
message-by = { $inviter } vous écrit :
message-alone = Message personnel :
address = Votre e-mail
answer-by = Répondre avant
accept = Accepter
decline = Refuser
open-hint = Rien ne se passe avant votre choix. Si vous n’attendiez pas cette invitation, fermez simplement cette page.
sending = Votre réponse est en cours d’envoi.

declining-heading = Refuser cette invitation ?
declining-text = Le lien ne pourra plus être utilisé ensuite. Si vous changez d’avis, il faudra vous inviter de nouveau.
decline-finally = Oui, refuser
back = Non, revenir

accepted-heading = Invitation acceptée
accepted-text = Bienvenue ! Continuez vers le portail pour vous connecter ou y créer votre compte.
accepted-text-alone = Bienvenue ! Vous pouvez fermer cette page. Votre contact vous dira comment vous connecter.
continue = Continuer vers { $host }

declined-heading = Invitation refusée
declined-text = Vous n’entendrez plus parler de cette invitation. Si c’était une erreur, demandez à la personne qui vous a invité(e) de l’envoyer de nouveau.

expired-heading = Cette invitation a expiré
expired-text = Son lien était valable pour une durée limitée, qui est écoulée. Demandez à la personne qui vous a invité(e) d’envoyer l’invitation de nouveau : vous recevrez un nouveau lien par e-mail.

revoked-heading = Cette invitation a été annulée
revoked-text = La personne qui l’a envoyée y a mis fin. Si vous pensez que c’est une erreur, demandez-lui de vous inviter de nouveau.

superseded-heading = Il existe un lien plus récent
superseded-text = Un e-mail ultérieur a remplacé ce lien. Cherchez la dernière invitation dans votre messagerie, y compris dans les indésirables, et utilisez le lien qu’elle contient.

withdrawn-heading = Cette invitation n’existe plus
withdrawn-text = Elle a été supprimée après vous avoir été envoyée. Si vous attendez toujours un accès, adressez-vous à la personne qui vous a invité(e).

inactive-heading = Le portail est désactivé pour le moment
inactive-text = Rien n’est perdu : vous pourrez accepter l’invitation quand le portail sera de retour, tant que la date indiquée dans votre e-mail n’est pas passée. Réessayez plus tard ou demandez à votre contact.

suspended-heading = Ce compte n’est pas utilisable
suspended-text = Il existe un compte pour votre adresse, mais il a été suspendu ou fermé ; l’invitation ne peut donc pas être acceptée. Demandez à votre contact de le rouvrir.

member-heading = Vous avez déjà un compte
member-text = Votre adresse est déjà enregistrée, il n’y a donc plus rien à accepter. Connectez-vous au portail comme d’habitude.

unknown-heading = Ce lien est inconnu
unknown-text = Il n’a peut-être pas été copié en entier. Ouvrez de nouveau le lien de votre e-mail, ou collez-le ici.
paste-heading = Ouvrir votre invitation
paste-text = Collez ici le lien de votre e-mail d’invitation. Sa dernière partie, après le signe #, suffit.
paste-label = Lien de votre e-mail
paste-hint = Il commence par https:// et il est assez long.
paste-wrong = Ce n’est pas un lien d’invitation. Copiez-le de nouveau depuis votre e-mail, en entier, de https:// jusqu’au dernier caractère.
paste-empty = Collez d’abord le lien.
open = Ouvrir l’invitation

offline-heading = Pas de connexion
offline-text = La page n’arrive pas à joindre son serveur. Vérifiez votre connexion à Internet, puis réessayez. Rien n’est perdu.
busy-heading = Il y a beaucoup de monde en ce moment
busy-text = Patientez { $delay }, puis réessayez. Rien n’est perdu.
unavailable-heading = Réessayez dans un instant
unavailable-text = Le service ne peut pas répondre pour le moment. Patientez { $delay }, puis réessayez. Rien n’est perdu.
failed-heading = Cela n’a pas fonctionné
failed-text = Le serveur n’a pas compris cette page. Rechargez-la, ou ouvrez le lien dans un autre navigateur.
retry = Réessayer
