# Las palabras de la página en la que responde quien ha sido invitado. El sentido de los mensajes está en en.ftl.

language = Español
choose-language = Idioma
page = Invitación
contact = Contacto

loading-heading = Su invitación
loading-text = Un momento, por favor.
no-script-heading = Esta página necesita JavaScript
no-script-text = Su navegador no ejecuta JavaScript aquí, y sin él esta página no puede leer su enlace. Permita JavaScript para esta página o abra el enlace en otro navegador. A su invitación no le ha pasado nada.

open-heading = Tiene una invitación a { $portal }
open-greeting = Hola, { $name }:
open-text = le han invitado al portal de clientes de { $tenant }.
open-text-by = { $inviter } le invita al portal de clientes de { $tenant }.
open-text-alone = Le han invitado al portal de clientes de { $tenant }.
message-by = { $inviter } escribe:
message-alone = Mensaje personal:
address = Su correo
answer-by = Responda antes de
accept = Aceptar
decline = Rechazar
open-hint = No ocurre nada hasta que usted elija. Si no esperaba esta invitación, simplemente cierre esta página.
sending = Su respuesta se está enviando.

declining-heading = ¿Rechazar esta invitación?
declining-text = Después el enlace ya no se podrá usar. Si cambia de opinión, alguien tendrá que invitarle de nuevo.
decline-finally = Sí, rechazar
back = No, volver

accepted-heading = Invitación aceptada
accepted-text = ¡Le damos la bienvenida! Continúe al portal para iniciar sesión o crear allí su cuenta.
accepted-text-alone = ¡Le damos la bienvenida! Puede cerrar esta página. Su contacto le dirá cómo iniciar sesión.
continue = Continuar a { $host }

declined-heading = Invitación rechazada
declined-text = No volverá a recibir nada sobre esta invitación. Si fue un error, pida a quien le invitó que se la envíe de nuevo.

expired-heading = Esta invitación ha caducado
expired-text = Su enlace se podía usar durante un tiempo limitado, y ese tiempo ha terminado. Pida a quien le invitó que le envíe la invitación de nuevo: recibirá un enlace nuevo por correo.

revoked-heading = Esta invitación ha sido anulada
revoked-text = Quien la envió la ha anulado. Si cree que es un error, pídale que le invite de nuevo.

superseded-heading = Hay un enlace más reciente
superseded-text = Un correo posterior ha sustituido este enlace. Busque la última invitación en su buzón, también en la carpeta de correo no deseado, y use el enlace que contiene.

withdrawn-heading = Esta invitación ya no existe
withdrawn-text = Se eliminó después de habérsela enviado. Si todavía espera tener acceso, pregunte a quien le invitó.

inactive-heading = El portal está desactivado en este momento
inactive-text = No se ha perdido nada: podrá aceptar la invitación cuando el portal vuelva, mientras no haya pasado la fecha de su correo. Inténtelo más tarde o pregunte a su contacto.

suspended-heading = Esta cuenta no está en uso
suspended-text = Existe una cuenta con su dirección, pero se ha suspendido o cerrado, y por eso la invitación no se puede aceptar. Pida a su contacto que la vuelva a abrir.

member-heading = Usted ya tiene una cuenta
member-text = Su dirección ya está registrada, así que no queda nada por aceptar. Inicie sesión en el portal como siempre.

unknown-heading = Este enlace no se reconoce
unknown-text = Quizá no se copió entero. Abra de nuevo el enlace de su correo o péguelo aquí.
paste-heading = Abrir su invitación
paste-text = Pegue aquí el enlace de su correo de invitación. Basta con la última parte, la que sigue al signo #.
paste-label = Enlace de su correo
paste-hint = Empieza por https:// y es bastante largo.
paste-wrong = Esto no es un enlace de invitación. Cópielo otra vez de su correo, entero, desde https:// hasta el último carácter.
paste-empty = Pegue primero el enlace.
open = Abrir la invitación

offline-heading = Sin conexión
offline-text = La página no consigue conectar con su servidor. Compruebe su conexión a Internet e inténtelo de nuevo. No se ha perdido nada.
busy-heading = Hay mucha gente en este momento
busy-text = Espere { $delay } e inténtelo de nuevo. No se ha perdido nada.
unavailable-heading = Inténtelo de nuevo en un momento
unavailable-text = El servicio no puede responder ahora mismo. Espere { $delay } e inténtelo de nuevo. No se ha perdido nada.
failed-heading = No ha funcionado
failed-text = El servidor no ha entendido esta página. Vuelva a cargarla o abra el enlace en otro navegador.
retry = Intentar de nuevo
